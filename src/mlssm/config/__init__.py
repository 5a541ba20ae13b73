"""The whole configuration, typed once from Hydra's composition and passed on typed: a file a room."""

from mlssm.config.base import Strict, parse
from mlssm.config.data import FeaturesConfig, SamplerConfig
from mlssm.config.datamodule import BackscatterConfig, DatamoduleConfig, GridConfig, SimulationConfig
from mlssm.config.evaluation import EvaluationConfig
from mlssm.config.models import ModelConfig
from mlssm.config.patches import PatchesConfig, SplitConfig
from mlssm.config.predict import PredictConfig
from mlssm.config.retrieval import RetrievalConfig
from mlssm.config.tracking import TrackingConfig
from mlssm.config.train import SweepConfig, TrainConfig
from mlssm.config.training import LossConfig, OptimiserConfig
from mlssm.config.weather import WeatherConfig

__all__ = [
    "BackscatterConfig",
    "DatamoduleConfig",
    "EvaluationConfig",
    "FeaturesConfig",
    "GridConfig",
    "LossConfig",
    "ModelConfig",
    "OptimiserConfig",
    "PatchesConfig",
    "PredictConfig",
    "RetrievalConfig",
    "SamplerConfig",
    "SimulationConfig",
    "SplitConfig",
    "Strict",
    "SweepConfig",
    "TrackingConfig",
    "TrainConfig",
    "WeatherConfig",
    "parse",
]
