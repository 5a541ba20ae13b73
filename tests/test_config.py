import copy
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlssm.config import DatamoduleConfig, PredictConfig, SplitConfig, TrainConfig, parse
from mlssm.config.models import BASELINES
from mlssm.errors import ConfigError
from mlssm.evaluation.baselines.fit import BASELINE_NAMES
from mlssm.models.response import ResponseSettings


@pytest.fixture(scope="module")
def train_values(conf_folder: str) -> dict[str, Any]:
    return composed(conf_folder, "train")


@pytest.fixture(scope="module")
def predict_values(conf_folder: str) -> dict[str, Any]:
    return composed(conf_folder, "predict", "dates=[2023-01-01]")


def composed(folder: str, name: str, *overrides: str) -> dict[str, Any]:
    with initialize_config_dir(folder, version_base="1.3"):
        values = OmegaConf.to_container(compose(name, list(overrides)), resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def changed(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(values)
    *sections, last = key.split(".")
    section = found
    for name in sections:
        section = section[name]
    section[last] = value
    return found


def test_the_defaults_are_typed(train_values: dict[str, Any]) -> None:
    config = parse(TrainConfig, train_values)
    assert isinstance(config.model, ResponseSettings)
    assert config.model.hidden == tuple(train_values["model"]["hidden"])
    assert (config.window.lag, config.window.mode) == (train_values["model"]["lag"], train_values["model"]["window"])
    assert config.datamodule.simulation is not None
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("model.lga", 3, "unknown configuration key 'model.lga'"),
        ("datamodule.backscatter.unit", "dB", "unknown configuration key 'datamodule.backscatter.unit'"),
        ("modle", {}, "unknown configuration key 'modle'"),
        ("model.lag", "three", "model.lag='three' is not allowed: Input should be a valid integer"),
        ("model.lag", 2.5, "model.lag=2.5 is not allowed: Input should be a valid integer"),
        ("model.lag", 0, "model.lag=0 is not allowed: Input should be greater than or equal to 1"),
        ("model.kernel", 4, "kernel 4 is even"),
        ("model.window", "days", "model.window='days' is not allowed: Input should be 'sequence' or 'aggregate'"),
        ("model.family", "mlssm.models.convlstm.LSTM", "family=mlssm.models.convlstm.LSTM cannot be imported"),
        ("model.family", "os.path.join", "family=os.path.join is no family of models; name a subclass"),
        ("model.hidden", [], "model.hidden=[] is not allowed: Tuple should have at least 1 item"),
        ("model.hidden", [8, "x"], "model.hidden.1='x' is not allowed: Input should be a valid integer"),
        ("optimiser.learning_rate", float("nan"), "optimiser.learning_rate=nan is not allowed"),
        ("optimiser.learning_rate", float("inf"), "optimiser.learning_rate=inf is not allowed"),
        ("retrieval.dry_percentile", 60, "retrieval.dry_percentile=60 is not allowed: Input should be less than 50"),
        ("retrieval.multilook", "boxcar", "retrieval.multilook='boxcar' is not allowed: Input should be 'block'"),
        ("retrieval", None, "retrieval=None is not allowed"),
        ("datamodule.name", "opera_rtc", "'simulation' is set for datamodule=simulated and for no other"),
        ("datamodule.simulation", None, "'simulation' is set for datamodule=simulated and for no other"),
        ("datamodule.simulation.size", 2, "datamodule.simulation.size=2 is not allowed: Input should be greater"),
        ("datamodule.backscatter.units", "db", "datamodule.backscatter.units='db' is not allowed"),
        ("datamodule.grid.resolution_m", -30, "datamodule.grid.resolution_m=-30 is not allowed"),
        ("features.dynamic", ["rain"], "features.dynamic.0='rain' is not allowed: Input should be 'precipitation'"),
        ("split.test", ["soon"], "split.test.0='soon' is not allowed: Input should be a valid date"),
        ("seed", -1, "seed=-1 is not allowed"),
        ("on_bad_file", "ignore", "on_bad_file='ignore' is not allowed: Input should be 'error' or 'skip'"),
    ],
)
def test_what_is_not_allowed_is_told_in_a_line(train_values: dict[str, Any], key: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(TrainConfig, changed(train_values, key, value))
    message = str(error.value)
    assert said in message
    assert "\n" not in message
    assert len(message) < 300


def test_a_missing_key_is_named(train_values: dict[str, Any]) -> None:
    values = copy.deepcopy(train_values)
    del values["model"]["lag"]
    with pytest.raises(ConfigError, match=r"^configuration key 'model\.lag' is missing$"):
        parse(TrainConfig, values)


def test_several_faults_are_told_at_once(train_values: dict[str, Any]) -> None:
    values = changed(changed(train_values, "model.lag", 0), "patches.size", 0)
    with pytest.raises(ConfigError, match=r"patches\.size=0 .*; model\.lag=0 "):
        parse(TrainConfig, values)


def test_a_key_of_several_types_is_told_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse(SplitConfig, {"name": "by_season", "test": ["soon"]})
    assert str(error.value).count("test.0='soon'") == 1


def test_seasons_and_dates_are_told_apart() -> None:
    split = parse(SplitConfig, {"name": "by_date", "test": ["2023-01-01"], "val": [2021]})
    assert split.test is not None
    assert split.val == (2021,)
    assert str(split.test[0]) == "2023-01-01"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("overlap", 128, "overlap=128 is not allowed with tile=128: set 0 <= overlap < tile"),
        ("tile", 8, "tile=8 is not allowed"),
        (
            "dates",
            20230101,
            "dates=20230101 is not allowed: write dates as '[2023-01-01,2023-01-02]' or 2023-01-01/2023-01-31",
        ),
        ("run", "", "run='' is not allowed: String should have at least 1 character"),
    ],
)
def test_predict_is_checked_too(predict_values: dict[str, Any], key: str, value: Any, said: str) -> None:
    parse(PredictConfig, predict_values)
    with pytest.raises(ConfigError) as error:
        parse(PredictConfig, changed(predict_values, key, value))
    assert str(error.value).startswith(said)


def test_sections_can_be_checked_alone(train_values: dict[str, Any]) -> None:
    assert parse(SplitConfig, train_values["split"]).name == train_values["split"]["name"]
    with pytest.raises(ConfigError, match=r"^'simulation' is set for"):
        parse(DatamoduleConfig, train_values["datamodule"] | {"simulation": None})


@pytest.mark.parametrize("title", ["ridge", "Antecedent rain"])
def test_a_family_of_a_baselines_name_is_refused(
    train_values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, title: str
) -> None:
    monkeypatch.setattr(ResponseSettings, "title", title)
    with pytest.raises(ConfigError, match=f"has the title '{title}', which is a baseline's; give it another title"):
        parse(TrainConfig, train_values)


def test_baselines_are_those_that_are_fitted() -> None:
    assert BASELINES == BASELINE_NAMES
