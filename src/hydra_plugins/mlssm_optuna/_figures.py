"""What a study looks like: figures and the table of its trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._champion import best_trial
from hydra_plugins.mlssm_optuna._ledger import FAILED, RETRY_OF, TEXT, Ledger
from hydra_plugins.mlssm_optuna._outcome import RUN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

INCHES = (8.0, 4.5)


@dataclass(frozen=True)
class Pictures:
    """Figures by name, and why a figure that one may look for is not there."""

    figures: dict[str, Figure]
    missing: dict[str, str]


def pictures(ledger: Ledger) -> Pictures:
    """Optimisation history, importance of each key, and the Pareto front, for each objective where it has its own."""
    import matplotlib

    matplotlib.use("Agg")
    from optuna.visualization import matplotlib as draw

    found, missing = Pictures({}, {}), why_no_importances(ledger)
    found.missing.update({f"importances_{name}": reason for name, reason in missing.items()})
    complete = [trial for trial in ledger.trials() if trial.state.name == "COMPLETE"]
    if not complete:
        found.missing["history"] = "no trial is complete"
        return found
    several = len(ledger.settings.objectives) > 1
    for place, name in enumerate(ledger.settings.objectives):
        # without a target Optuna draws the best value so far as well
        chosen = {"target_name": name} | ({"target": _value(place)} if several else {})
        found.figures[f"history_{name}"] = _draw(draw.plot_optimization_history, ledger, chosen)
        if name not in missing:
            found.figures[f"importances_{name}"] = _draw(draw.plot_param_importances, ledger, chosen)
    if len(ledger.settings.objectives) in (2, 3):
        names = {"target_names": list(ledger.settings.objectives)}
        found.figures["pareto"] = _draw(draw.plot_pareto_front, ledger, names)
    return found


def why_no_importances(ledger: Ledger) -> dict[str, str]:
    """For each objective whose values tell nothing about the keys, why."""
    complete = [trial for trial in ledger.trials() if trial.state.name == "COMPLETE"]
    reasons = {}
    for place, name in enumerate(ledger.settings.objectives):
        values = {trial.values[place] for trial in complete}
        if len(complete) < 2:
            reasons[name] = f"{len(complete)} complete trials; importances take two or more"
        elif len(values) == 1:
            reasons[name] = f"all {len(complete)} complete trials have {name} {values.pop():.6g}"
        elif ledger.space.size == 1:
            reasons[name] = "the space is a single point"
    return reasons


def trials_table(ledger: Ledger) -> pd.DataFrame:
    """A row a trial: state, objectives, epochs that it reported, the searched keys, run, and why it failed."""
    import pandas as pd

    rows = []
    for trial in ledger.trials():
        values = (
            trial.values if trial.values and trial.state.name == "COMPLETE" else [None] * len(ledger.study.directions)
        )
        named: dict[str, Any] = dict(zip(ledger.settings.objectives, values, strict=True))
        rows.append(
            {"trial": trial.number, "state": trial.state.name}
            | named
            | {"epochs": len(trial.intermediate_values) or None}
            | {
                key: dimension.text(trial.params[key]) if key in trial.params else None
                for key, dimension in ledger.space.dimensions.items()
            }
            | {"retry_of": trial.user_attrs.get(RETRY_OF), "run_id": trial.user_attrs.get(RUN)}
            | {"failed": trial.user_attrs.get(FAILED), "error": trial.user_attrs.get(TEXT)}
        )
    return pd.DataFrame(rows)


def summary_tags(ledger: Ledger) -> dict[str, object]:
    """The best trial, its values, and how many trials ended how."""
    best, states = best_trial(ledger), [trial.state.name for trial in ledger.trials()]
    tags: dict[str, object] = {f"study.{state.lower()}": states.count(state) for state in sorted(set(states))}
    if best is None:
        return tags
    tags |= {"study.best_trial": best.number, "study.best_point": " ".join(ledger.space.overrides(best.params))}
    values = zip(ledger.settings.objectives, best.values, strict=True)
    return tags | {f"study.best_{name}": value for name, value in values}


def _value(place: int) -> Callable[[Any], float]:
    return lambda trial: float(trial.values[place])


def _draw(plot: Callable[..., Any], ledger: Ledger, options: dict[str, Any]) -> Figure:
    from matplotlib import pyplot
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings(), pyplot.rc_context({"figure.figsize": INCHES}):
        warnings.simplefilter("ignore", ExperimentalWarning)
        # it says that low values are the good ones, which they are
        warnings.filterwarnings("ignore", "PedAnovaImportanceEvaluator computes", UserWarning)
        axes = plot(ledger.study, **options)
    figure: Figure = axes.figure
    figure.set_layout_engine("tight")
    pyplot.close(figure)
    return figure
