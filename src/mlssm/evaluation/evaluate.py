"""Scores of the network, its controls and the baselines on the same pixels, from one streamed pass over each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor, nn

from mlssm.config import EvaluationConfig, TrainConfig
from mlssm.crew import Crew, open_crew
from mlssm.data.assemble import Experiment, two_pass_grid
from mlssm.data.dataset import PatchDataset
from mlssm.data.prefit import BASE, FORECAST, RETRIEVED
from mlssm.evaluation.baselines import BASELINE_NAMES, fit_baselines
from mlssm.evaluation.baselines.base import Baseline
from mlssm.evaluation.baselines.prefit_map import PrefitMap
from mlssm.evaluation.parts import Patches, look_at
from mlssm.evaluation.rows import score_rows
from mlssm.evaluation.stream import Network, Predicted, Predictors
from mlssm.evaluation.table import Kind, ScoreRow
from mlssm.evaluation.verdict import Verdict, verdict
from mlssm.retrieval.track_variance import UNKNOWN, TrackVariance
from mlssm.scores.bootstrap import Resampling
from mlssm.scores.cells import Layout
from mlssm.scores.detection import WetTally
from mlssm.scores.histogram import DensityHistogram
from mlssm.scores.sums import DISTRIBUTIONS
from mlssm.scores.tally import ScoreTally
from mlssm.scores.temporal import Quartiles, TemporalSums
from mlssm.uncertainty.tally import IntervalTally

HISTOGRAM_BINS = 50
CONTROLS = {"no_weather": "no weather", "shuffle_space": "shuffled space"}  # after the network's name
ORDER = ("test", "val", "train")
CONTROLLED = ("test", "val")
NO_TEMPORAL = "no pixel has 5 dates on which labels and predictions vary"


@dataclass(frozen=True)
class SplitEvaluation:
    """What one split's predictions come to.

    Attributes:
        times: Acquisitions of the split, positions in the cube, in the order of the sums' first dimension.
        blocks: Extent of each spatial block, in the order of the sums' second dimension.
        sums: By model: the network, its controls, and the baselines; float64 [date, block, bin, sum], see
            `mlssm.scores.sums`.
        wet: By model, the counts of `mlssm.scores.detection`.
        temporal: By model, the correlation over time of the pixels.
        between_pixels: Sums of squares between pixels of the labels and of each model's errors, see `TemporalSums`.
        temporal_maps: The network's, a map [height, width] an extent; NaN where not defined.
        histogram: The network's SSM against retrieved SSM.
        digest: Of the labels and their places: equal where two runs were scored on the same.
        two_pass: As `sums`, without controls, over the patches of both passes, on dates of their own; a pixel counts as
            often as it appears. Empty unless it was asked for.
        over_time: Sums over the dates of each pixel, by which several splits' correlations are joined; None unless it
            was asked for.
        layout: Blocks and pixels of the extents; None where `over_time` is.
    """

    times: tuple[int, ...]
    blocks: npt.NDArray[np.int64]
    sums: Mapping[str, Tensor]
    wet: Mapping[str, Tensor]
    temporal: Mapping[str, Quartiles]
    between_pixels: Mapping[str, float]
    temporal_maps: tuple[npt.NDArray[np.float64], ...]
    histogram: DensityHistogram
    digest: str
    two_pass: Mapping[str, Tensor] = field(default_factory=dict)
    over_time: TemporalSums | None = None
    layout: Layout | None = None


@dataclass(frozen=True)
class Evaluation:
    """All scores of one training.

    Attributes:
        splits: By "train", "val" and "test", or some of them.
        kinds: By model, whether it is the network, a control, a baseline, or a simulation's truth, in the order of the
            tables.
        config: Thresholds, and how the bootstrap draws.
        seed: Of the bootstrap.
        intervals: How the calibrated intervals fare on the test split; None where nothing was calibrated.
        track: How much of the labels' variance is a track's own.
    """

    splits: Mapping[str, SplitEvaluation]
    kinds: Mapping[str, Kind]
    config: EvaluationConfig
    seed: int
    intervals: IntervalTally | None = None
    track: TrackVariance = UNKNOWN

    @property
    def network(self) -> str:
        """The network's name in the tables."""
        return next(name for name, kind in self.kinds.items() if kind == "network")

    @property
    def resampling(self) -> Resampling:
        """How the intervals are drawn."""
        return Resampling(self.config.draws, self.config.level, self.seed)

    @cached_property
    def rows(self) -> list[ScoreRow]:
        """The table: on test, validation and training, the network, its controls, and then the baselines."""
        found: list[ScoreRow] = []
        for split in (name for name in ORDER if name in self.splits):
            part = self.splits[split]
            how = self.kinds, self.resampling, self.track.value
            found += score_rows(split, part.sums, DISTRIBUTIONS, *how)
            found += score_rows(split, part.two_pass, ("two_pass",), *how)
        return found

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the network is better than the best baseline on the test split, and what to beware of."""
        return verdict(self.rows, self.splits["test"].sums, self.resampling)


@dataclass(frozen=True)
class Settings:
    """How a split is summed up.

    Attributes:
        layout: Blocks and pixels of the extents.
        batch_size: Patches that are predicted at once.
        bins: SSM bins of the balanced scores.
        thresholds: SSM from which a pixel is wet.
        poolable: Whether what joins several splits is kept.
    """

    layout: Layout
    batch_size: int
    bins: int
    thresholds: tuple[float, ...]
    poolable: bool = False


def evaluate(
    experiment: Experiment,
    network: nn.Module,
    config: TrainConfig,
    wanted: Sequence[str] = ("train", "val", "test"),
    *,
    poolable: bool = False,
    bare: bool = False,
) -> Evaluation:
    """Score a network and the baselines on all three splits, each read once.

    All are scored on the patches of the regular grid, so that training scores are those of the natural distribution
    too, whatever the sampler drew; with `evaluation.two_pass` also on the patches of both passes. The baselines are
    fitted on the labels of the regular training patches. Controls are scored on the test and validation splits.

    Args:
        experiment: Labels, weather and patches.
        network: The trained network, on the device that it is to run on.
        config: Batch size, bins, thresholds, blocks, controls and seed; what the ridge's penalty is chosen by.
        wanted: Which splits.
        poolable: Whether what `mlssm.evaluation.pooling` joins is kept.
        bare: Whether the network alone is scored, without controls and baselines.

    Raises:
        SplitError: No training pixel has a label.
    """
    regular = {split: regular_grid(dataset) for split, dataset in experiment.datasets.items()}
    title, spec = network_name(config), experiment.spec
    trained = Network(title, network, spec, config.control)
    # a network that was trained under a control has lost what the others would take away
    names = config.evaluation.controls if config.control == "none" and not bare else ()
    controls: list[Baseline] = [Network(f"{title}, {CONTROLS[name]}", network, spec, name) for name in names]
    controls += [] if bare else response_rows(experiment, config)
    start_month = config.split.start_month if config.split.by_inner_seasons else None
    told = config.seed, start_month, config.datamodule.root
    settings = replace(split_settings(experiment, config), poolable=poolable)
    splits = {}
    with open_crew(config.dask, experiment.cube.path) as crew:
        baselines = () if bare else fit_baselines(experiment, regular["train"], *told, crew)
        for split in wanted:
            models = (trained, *(controls if split in CONTROLLED else ()), *baselines)
            splits[split] = evaluate_split(models, regular[split], settings, crew)
            if config.evaluation.two_pass:
                both = two_pass_grid(experiment, split)
                found = evaluate_split((trained, *baselines), uncontrolled(both, both.patches), settings, crew)
                splits[split] = replace(splits[split], two_pass=found.sums)
    kinds: dict[str, Kind] = {title: "network"}
    kinds.update({model.name: "control" for model in controls})
    kinds.update({model.name: "baseline" if model.name in BASELINE_NAMES else "truth" for model in baselines})
    return Evaluation(splits, kinds, config.evaluation, config.seed, track=experiment.retrieval.track)


def network_name(config: TrainConfig) -> str:
    """The network's name in tables: a nowcast is named apart from a forecast."""
    return f"{config.model.title}, nowcast" if config.features.previous == "nowcast" else config.model.title


def response_rows(experiment: Experiment, config: TrainConfig) -> list[Baseline]:
    """The closed form that the network was trained on top of, without what it learnt; and without earlier images."""
    if experiment.prefit is None:
        return []
    moments = experiment.moments
    rows: list[Baseline] = [PrefitMap("response, plain forecast", FORECAST, moments)]
    rows.append(PrefitMap("response, retrieved from backscatter", RETRIEVED, moments))
    if config.features.previous == "nowcast":
        rows.append(PrefitMap("response, nowcast", BASE, moments))
    return rows


def regular_grid(dataset: PatchDataset) -> PatchDataset:
    """The same patches without those of the second pass, and under no control."""
    return uncontrolled(dataset, dataset.patches[dataset.patches["pass"] == 1])


def uncontrolled(dataset: PatchDataset, patches: pd.DataFrame) -> PatchDataset:
    """Patches of a dataset with their inputs as they are: a control is the network's, and not the baselines'."""
    parts = dataset.size, dataset.retrieval, dataset.features, dataset.moments
    return PatchDataset(patches, *parts, margin=dataset.margin)


def evaluate_split(
    models: Sequence[Baseline], dataset: PatchDataset, settings: Settings, crew: Crew | None = None
) -> SplitEvaluation:
    """Predict a split once by each model, and sum up, a batch at a time; whoever predicts.

    Args:
        models: The network first.
        dataset: The split's patches; the temporal correlation counts a pixel of overlapping ones twice.
        settings: How it is summed up.
        crew: Who predicts; None: here, one batch after the other.
    """
    layout, dates, names = settings.layout, len(dataset.times), tuple(model.name for model in models)
    tally = ScoreTally(names, dates, layout, settings.bins)
    wet = WetTally(names, dates, settings.thresholds)
    temporal, histogram = TemporalSums(layout.pixels, names), DensityHistogram(HISTOGRAM_BINS)

    def add(found: Predicted) -> None:
        pixels = found.pixels
        cell, row = tally.cell(pixels), wet.row(pixels)
        tally.add_labels(pixels)
        temporal.add_labels(pixels)
        histogram.add(found.ssm[names[0]].numpy(), pixels.target.numpy())
        for name, prediction in found.ssm.items():
            tally.add(name, pixels, cell, prediction)
            wet.add(name, row, prediction)
            temporal.add(name, pixels, prediction)

    look_at(Patches(dataset, settings.batch_size), Predictors(models, layout), add, crew, "scores")
    over_time, map_of_first = correlations(temporal, names)
    return SplitEvaluation(
        times=tuple(int(time) for time in dataset.times),
        blocks=layout.blocks,
        sums=tally.sums,
        wet=wet.counts,
        temporal=over_time,
        between_pixels=temporal.between_pixels(layout),
        temporal_maps=layout.maps(map_of_first),
        histogram=histogram,
        digest=tally.digest,
        over_time=temporal if settings.poolable else None,
        layout=layout if settings.poolable else None,
    )


def correlations(temporal: TemporalSums, names: Sequence[str]) -> tuple[dict[str, Quartiles], npt.NDArray[np.float64]]:
    """What the correlations over time of each model come to, and those of the first, [pixel]; one map at a time."""
    first = temporal.correlation(names[0])
    found = {names[0]: Quartiles.of(first, NO_TEMPORAL)}
    found |= {name: Quartiles.of(temporal.correlation(name), NO_TEMPORAL) for name in names[1:]}
    return found, first


def split_settings(experiment: Experiment, config: TrainConfig) -> Settings:
    """How the splits of an experiment are summed up."""
    shapes = [place.shape for place in experiment.field.places]
    layout = Layout.of_metres(shapes, config.evaluation.block_m, experiment.stack.working.grid.pixel)
    return Settings(layout, config.optimiser.batch_size, config.ssm_bins, config.evaluation.wet_thresholds)
