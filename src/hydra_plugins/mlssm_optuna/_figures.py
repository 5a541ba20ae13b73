"""What a study looks like: figures and the table of its trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._champion import best_trial
from hydra_plugins.mlssm_optuna._heartbeat import retries
from hydra_plugins.mlssm_optuna._outcome import RUN
from hydra_plugins.mlssm_optuna._trials import Trials

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

INCHES = (8.0, 4.5)


@dataclass(frozen=True)
class StudyFigures:
    """Figures by name, and why a figure that one may look for is not there."""

    figures: dict[str, Figure]
    missing: dict[str, str]


def draw_study(trials: Trials) -> StudyFigures:
    """Optimisation history, importance of each key, and the Pareto front, for each objective where it has its own."""
    import matplotlib

    matplotlib.use("Agg")
    from optuna.visualization import matplotlib as draw

    found, missing = StudyFigures({}, {}), why_no_importances(trials)
    found.missing.update({f"importances_{name}": reason for name, reason in missing.items()})
    complete = trials.complete()
    if not complete:
        found.missing["history"] = "no trial is complete"
        return found
    several = len(trials.settings.objectives) > 1
    for place, name in enumerate(trials.settings.objectives):
        # without a target Optuna draws the best value so far as well
        chosen = {"target_name": name} | ({"target": _value(place)} if several else {})
        found.figures[f"history_{name}"] = _draw(draw.plot_optimization_history, trials, chosen)
        if name not in missing:
            found.figures[f"importances_{name}"] = _draw(draw.plot_param_importances, trials, chosen)
    if len(trials.settings.objectives) in (2, 3):
        names = {"target_names": list(trials.settings.objectives)}
        found.figures["pareto"] = _draw(draw.plot_pareto_front, trials, names)
    return found


def why_no_importances(trials: Trials) -> dict[str, str]:
    """For each objective whose values tell nothing about the keys, why."""
    complete = trials.complete()
    reasons = {}
    for place, name in enumerate(trials.settings.objectives):
        values = {trial.values[place] for trial in complete}
        if len(complete) < 2:
            reasons[name] = f"{len(complete)} complete trials; importances take two or more"
        elif len(values) == 1:
            reasons[name] = f"all {len(complete)} complete trials have {name} {values.pop():.6g}"
        elif trials.space.size == 1:
            reasons[name] = "the space is a single point"
    return reasons


def trials_table(trials: Trials) -> pd.DataFrame:
    """A row a trial: state, objectives, epochs that it reported, the searched keys, run, and why it failed."""
    import pandas as pd

    rows = []
    for trial in trials.all():
        failure = trials.failure(trial) if trial.state.name == "FAIL" else (None, None)
        values = trial.values if trial.state.name == "COMPLETE" else [None] * len(trials.study.directions)
        named: dict[str, Any] = dict(zip(trials.settings.objectives, values, strict=True))
        rows.append(
            {"trial": trial.number, "state": trial.state.name}
            | named
            | {"epochs": len(trial.intermediate_values) or None}
            | {
                key: dimension.text(trial.params[key]) if key in trial.params else None
                for key, dimension in trials.space.dimensions.items()
            }
            | {"retry_of": next(reversed(retries(trial)), None), "run_id": trial.user_attrs.get(RUN)}
            | dict(zip(("failed", "error"), failure, strict=True))
        )
    return pd.DataFrame(rows)


def summary_tags(trials: Trials) -> dict[str, object]:
    """The best trial, its values, and how many trials ended how."""
    best, states = best_trial(trials), [trial.state.name for trial in trials.all()]
    tags: dict[str, object] = {f"study.{state.lower()}": states.count(state) for state in sorted(set(states))}
    if best is None:
        return tags
    tags |= {"study.best_trial": best.number, "study.best_point": " ".join(trials.space.overrides(best.params))}
    values = zip(trials.settings.objectives, best.values, strict=True)
    return tags | {f"study.best_{name}": value for name, value in values}


def _value(place: int) -> Callable[[Any], float]:
    return lambda trial: float(trial.values[place])


def _draw(plot: Callable[..., Any], trials: Trials, options: dict[str, Any]) -> Figure:
    from matplotlib import pyplot

    with warnings.catch_warnings(), pyplot.rc_context({"figure.figsize": INCHES}):
        # it says that low values are the good ones, which they are
        warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)
        axes = plot(trials.study, **options)
    figure: Figure = axes.figure
    figure.set_layout_engine("tight")
    pyplot.close(figure)
    return figure
