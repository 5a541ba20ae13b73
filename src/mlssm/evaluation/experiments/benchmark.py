"""The experiment `real_benchmark`: every model and baseline on the same held-out pixels, at several scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlssm.evaluation.experiments.artifacts import Artifacts, NamedTable
from mlssm.evaluation.page import Page, Section, TableBlock, Text
from mlssm.markdown import markdown

if TYPE_CHECKING:
    import pandas as pd

PLACE: Final = ["scale_m", "mask_db", "channel"]
SCORED: Final = ["n", "r2", "r2_low", "r2_high", "rmse", "skill", "best_baseline"]
COST: Final = ["parameters", "flops_per_pixel", "seconds"]
COLUMNS: Final = (*PLACE, "inputs", "model", "kind", "seeds", *SCORED, "r2_sd", *COST)
READ: Final = (
    "Test pixels of all seasons, each held out in turn, natural distribution. 'inputs' says whether earlier images are "
    "seen (nowcast) or weather and land alone (forecast); 'r2_low' and 'r2_high' are the ends of R2's interval over "
    "dates and blocks, 'r2_sd' its standard deviation over seeds; 'skill' is 1 - MSE / MSE of the best baseline. A "
    "model is scored beside the baselines of its own run; baselines and closed forms are the same in all of them."
)


@dataclass(frozen=True)
class BenchmarkRun:
    """One model under one setting.

    Attributes:
        scale_m: Window of the multilook, metres; 0: single pixels.
        mask_db: Least distance between the references, dB.
        channel: What the labels are made of, e.g. VV, or 0.7 VV + 0.3 VH.
        nowcast: Whether earlier images were seen.
        seeds: Number of trainings with a seed each.
        parameters: Of the network.
        flops_per_pixel: Floating-point operations of the network for a pixel of a map.
        seconds: Of all its trainings, with evaluation.
        scores: Its `scores.csv`.
        spread: Its `spread.csv`; None where there is one seed.
    """

    scale_m: float
    mask_db: float
    channel: str
    nowcast: bool
    seeds: int
    parameters: float
    flops_per_pixel: float
    seconds: float
    scores: pd.DataFrame
    spread: pd.DataFrame | None


def benchmark_table(runs: Sequence[BenchmarkRun]) -> pd.DataFrame:
    """A row a model and setting on test, natural, from the finest scale on, the best R2 first; `COLUMNS`."""
    import pandas as pd

    rows = [row for run in runs for row in _rows(run)]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    alike = [*PLACE, "inputs", "model", "kind"]
    of_networks = table["kind"] == "network"
    others = table[~of_networks].drop_duplicates(alike)  # they are of the labels, and not of the run
    ordered = pd.concat([table[of_networks], others])
    return ordered.sort_values([*PLACE, "r2"], ascending=[True, True, True, False], ignore_index=True)


def benchmark(runs: Sequence[BenchmarkRun], failed: Sequence[str]) -> Artifacts:
    """The table, and what is missing of it.

    Args:
        runs: Finished.
        failed: Names of those that left no scores, and why.

    Raises:
        ValueError: No run finished.
    """
    if not runs:
        raise ValueError(f"no model of the benchmark has scores: {'; '.join(failed) or 'none was trained'}")
    table = benchmark_table(runs)
    missing = f"Without scores: {'; '.join(failed)}." if failed else ""
    blocks = tuple(TableBlock(_title(place), part, READ) for place, part in table.groupby(PLACE))
    sections: tuple[Section, ...] = (Section("Every model and baseline", blocks),)
    if missing:
        sections += (Section("Missing", (Text(missing),)),)
    summary = "\n\n".join(filter(None, [markdown(table[[*PLACE, "inputs", "model", *SCORED[1:6], "r2_sd"]]), missing]))
    return Artifacts((NamedTable("benchmark", table),), (), Page("Benchmark on real input", READ, sections), summary)


def _title(place: object) -> str:
    assert isinstance(place, tuple)
    scale, mask, channel = place
    support = f"{scale:g} m, references at least {mask:g} dB apart" if scale else f"single pixels, {mask:g} dB"
    return f"{channel}, {support}"


def _rows(run: BenchmarkRun) -> list[dict[str, object]]:
    natural = run.scores[(run.scores["split"] == "test") & (run.scores["distribution"] == "natural")]
    found = []
    for row in natural.to_dict("records"):
        network = row["kind"] == "network"
        nowcast = run.nowcast if network else str(row["model"]).endswith("nowcast")
        if row["kind"] == "control" and not str(row["model"]).startswith("response"):
            continue
        place: dict[str, object] = {"scale_m": run.scale_m, "mask_db": run.mask_db, "channel": run.channel}
        named = {"inputs": "nowcast" if nowcast else "forecast", "model": row["model"], "kind": row["kind"]}
        cost = {name: getattr(run, name) if network else float("nan") for name in COST}
        scored = {name: row[name] for name in SCORED}
        seeds = run.seeds if network else 1
        found.append(place | named | scored | cost | {"seeds": seeds, "r2_sd": _deviation(run, str(row["model"]))})
    return found


def _deviation(run: BenchmarkRun, model: str) -> float:
    if run.spread is None:
        return float("nan")
    of_model = (run.spread["model"] == model) & (run.spread["split"] == "test")
    found = run.spread.loc[of_model & (run.spread["distribution"] == "natural"), "r2_sd"]
    return float(found.iloc[0]) if len(found) else float("nan")
