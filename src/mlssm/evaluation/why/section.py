"""What a run keeps on which inputs its predictions hang on, and the section of its report."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from torch import nn

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment
from mlssm.data.dataset import PatchDataset
from mlssm.evaluation.evaluate import Evaluation, Settings, network_name, regular_grid, split_settings
from mlssm.evaluation.figures.why import contribution_maps, contributions, permutation_bars
from mlssm.evaluation.page import Block, FigureBlock, Section, TableBlock, Text
from mlssm.evaluation.picture import NamedFigure
from mlssm.evaluation.run_figures import median_date
from mlssm.evaluation.stream import Network
from mlssm.evaluation.why.attribution_maps import attribution_maps
from mlssm.evaluation.why.gradients import by_driver_and_day
from mlssm.evaluation.why.permutation import permutation_importance, sample

GRADIENT_PATCHES = (
    40  # of the sample, whose predictions are attributed: each costs a forward and a backward pass a step
)
SAYS = (
    "What the trained network goes by, on patches of the test split. It is not what soil moisture depends on: inputs "
    "that move together (rain, humidity, evapotranspiration) stand in for each other, and each alone then seems to "
    "matter less than all of them together."
)
SAYS_CLOSED_FORM = (
    "The closed form is an input here: rain and evapotranspiration of the whole record went into it before the network "
    "was trained. What 'closed form (base)' is worth over the dates is theirs, and what it and the memory of the pixel "
    "are worth between places is the labels' of earlier seasons. The weather channels show what the network adds."
)
READ_PERMUTATION = (
    "Rise of RMSE and drop of R2 when a group of inputs is that of another date, or of another place, whole dates and "
    "patches at a time, and the network is not trained anew; with the interval of the paired difference over dates and "
    "blocks. Around 0: the network does without it. Below 0: it would do better without. The first row of each is all "
    "inputs at once."
)
READ_DAYS = (
    "Integrated gradients: each input's share in the difference between the prediction and that of an input of which "
    "nothing is known (training means), SSM units, mean of the absolute values over patches. Left by day of the "
    "antecedent window, right what holds for all of it."
)
READ_MAPS = (
    "The same on the test date of median error: blue where a group of inputs makes the map wetter than the training "
    "mean of these inputs would, red where drier. An input's effect is drawn where the input is; a convolution carries "
    "it a few pixels on. The strongest groups are shown."
)


@dataclass(frozen=True)
class Part:
    """What one way of asking gave.

    Attributes:
        tables: By the stem of their files.
        figures: For `figures/<stem>.png`.
        blocks: Of the report.
    """

    tables: dict[str, pd.DataFrame]
    figures: tuple[NamedFigure, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Why:
    """What all of them gave, and the section of the report."""

    tables: dict[str, pd.DataFrame]
    figures: tuple[NamedFigure, ...]
    section: Section


def explain(experiment: Experiment, network: nn.Module, config: TrainConfig, evaluation: Evaluation) -> Why | None:
    """Ask a trained network what `evaluation.why` says.

    Args:
        experiment: What it was trained on.
        network: The network.
        config: What it was told.
        evaluation: Its scores.

    Returns:
        What it goes by; None where nothing is asked, no test patch has a label, or the network was trained under a
        control and has lost what would be asked for.
    """
    told, whole = config.evaluation.why, regular_grid(experiment.datasets["test"])
    if not (told.permutation or told.gradients) or not len(whole) or config.control != "none":
        return None
    dataset = sample(whole, told.patches, config.seed)
    parts = []
    if told.permutation:
        one = Network(network_name(config), network, experiment.spec)
        parts.append(_permuted(one, dataset, split_settings(experiment, config), config, evaluation))
    if told.gradients:
        parts.append(_by_day(experiment, network, sample(dataset, GRADIENT_PATCHES, config.seed), config))
        parts.append(_as_maps(experiment, network, median_date(evaluation), told.steps))
    text = Text(f"{SAYS}\n\n{SAYS_CLOSED_FORM}" if experiment.prefit is not None else SAYS)
    blocks = (text, *(block for part in parts for block in part.blocks))
    tables = {stem: table for part in parts for stem, table in part.tables.items()}
    return Why(tables, tuple(figure for part in parts for figure in part.figures), Section("Why", blocks))


def _permuted(
    network: Network, dataset: PatchDataset, settings: Settings, config: TrainConfig, evaluation: Evaluation
) -> Part:
    repeats = config.evaluation.why.repeats
    found = permutation_importance(network, dataset, settings, evaluation.resampling, repeats=repeats, seed=config.seed)
    figure = NamedFigure("why_permutation", permutation_bars(found))
    shown = found.drop(columns="channels")  # they are in the file
    table = TableBlock("Importance by permutation", shown, f"On {len(dataset)} patches.", 4)
    blocks = FigureBlock("Permutation", figure.png, READ_PERMUTATION), table
    return Part({figure.stem: found}, (figure,), blocks)


def _by_day(experiment: Experiment, network: nn.Module, dataset: PatchDataset, config: TrainConfig) -> Part:
    size, steps = config.optimiser.batch_size, config.evaluation.why.steps
    found = by_driver_and_day(network, dataset, experiment.spec, size, steps)
    figure = NamedFigure("why_days", contributions(found, f"{len(dataset)} test patches"))
    table = TableBlock("Contributions by driver and day", found, f"On {len(dataset)} patches.", 4)
    return Part({"why_gradients": found}, (figure,), (FigureBlock("By driver and day", figure.png, READ_DAYS), table))


def _as_maps(experiment: Experiment, network: nn.Module, time: int, steps: int) -> Part:
    found = attribution_maps(experiment, network, time, steps)
    title = f"Contributions on {experiment.cube.local_days[time]}"
    figure = NamedFigure("why_maps", contribution_maps(found.maps, found.pixel_m, title))
    return Part({}, (figure,), (FigureBlock("Contributions as maps", figure.png, READ_MAPS),))
