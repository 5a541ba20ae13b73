"""Figures of a run and of the experiments: matplotlib objects, none touches pyplot's state."""

from mlssm.evaluation.figures.density import density
from mlssm.evaluation.figures.detection import detection
from mlssm.evaluation.figures.errors import by_bin, by_date, decomposition
from mlssm.evaluation.figures.experiments import leakage_figure, paper_figure, two_by_two
from mlssm.evaluation.figures.intervals import calibration
from mlssm.evaluation.figures.lags import scores_by_lag
from mlssm.evaluation.figures.maps import ExtentCorrelation, ExtentMaps, map_triplet, temporal_correlation_map
from mlssm.evaluation.figures.skill import seeds, skill_bars
from mlssm.evaluation.figures.training import loss_curves

__all__ = [
    "ExtentCorrelation",
    "ExtentMaps",
    "by_bin",
    "by_date",
    "calibration",
    "decomposition",
    "density",
    "detection",
    "leakage_figure",
    "loss_curves",
    "map_triplet",
    "paper_figure",
    "scores_by_lag",
    "seeds",
    "skill_bars",
    "temporal_correlation_map",
    "two_by_two",
]
