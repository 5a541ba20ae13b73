"""The whole configuration, typed once from Hydra's composition and passed on typed: a file a room."""

from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.base import Strict, parse
from mlssm.config.dask import DaskConfig
from mlssm.config.data import FeaturesConfig, SamplerConfig
from mlssm.config.datamodule import DatamoduleConfig, GridConfig, SimulationConfig
from mlssm.config.evaluate import EvaluateConfig, GroundTableConfig
from mlssm.config.evaluation import EvaluationConfig
from mlssm.config.layers import LayerSource, parse_layer
from mlssm.config.models import Channels, ModelSettings, WindowConfig
from mlssm.config.of_run import OfRun
from mlssm.config.patches import PatchesConfig, SplitConfig
from mlssm.config.predict import PredictConfig, StateOfMaps
from mlssm.config.retrieval import ImagesConfig, RetrievalConfig
from mlssm.config.tracking import TrackingConfig
from mlssm.config.tracks import TracksConfig
from mlssm.config.train import SweepConfig, TrainConfig
from mlssm.config.training import LossConfig, OptimiserConfig
from mlssm.config.warning import WarningConfig
from mlssm.config.weather import WeatherConfig

__all__ = [
    "BackscatterConfig",
    "Channels",
    "DaskConfig",
    "DatamoduleConfig",
    "EvaluateConfig",
    "EvaluationConfig",
    "FeaturesConfig",
    "GridConfig",
    "GroundTableConfig",
    "ImagesConfig",
    "LayerSource",
    "LossConfig",
    "ModelSettings",
    "OfRun",
    "OptimiserConfig",
    "PatchesConfig",
    "PredictConfig",
    "RetrievalConfig",
    "SamplerConfig",
    "SimulationConfig",
    "SplitConfig",
    "StateOfMaps",
    "Strict",
    "SweepConfig",
    "TrackingConfig",
    "TracksConfig",
    "TrainConfig",
    "WarningConfig",
    "WeatherConfig",
    "WindowConfig",
    "parse",
    "parse_layer",
]
