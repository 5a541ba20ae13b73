import sys
from pathlib import Path
from typing import Any

import pytest

from mlssm.config import PredictConfig, parse, parse_layer
from mlssm.errors import ConfigError, RunError
from mlssm.jobs.layers import layers_to_read

PLAIN = {"paths": ["clay.tif"], "kind": "continuous"}
FOREIGN = {"_target_": "evil.module.Layer", "paths": ["clay.tif"], "kind": "continuous"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "clay.tif").touch()
    return tmp_path


def layers(**values: Any) -> Any:
    return {name: parse_layer(name, item) for name, item in values.items()}


def test_a_model_chooses_no_code(root: Path) -> None:
    trained = layers(it=FOREIGN)
    with pytest.raises(RunError, match=r"names evil\.module\.Layer as the class of its layer it, and no code is run"):
        layers_to_read(trained, {}, root)
    with pytest.raises(RunError, match="no code is run"):
        layers_to_read(trained, {"it": {"paths": ["clay.tif"]}}, root)
    own = layers_to_read(trained, {"it": {"_target_": "evil.module.Layer"}}, root)
    assert own == trained
    assert "evil" not in sys.modules, "nothing is imported before it is wanted"


@pytest.mark.parametrize("target", ["torchgeo.datasets.NLCD", None])
def test_what_torchgeo_brings_is_no_foreign_code(root: Path, target: str | None) -> None:
    trained = layers(it={**PLAIN, "_target_": target})
    assert layers_to_read(trained, {}, root) == trained


@pytest.mark.parametrize("target", ["torchgeo.datasets.geo.os.system", "torchgeo.datasets.utils.extract_archive"])
def test_what_lies_deeper_in_torchgeo_is(root: Path, target: str) -> None:
    with pytest.raises(RunError, match="no code is run"):
        layers_to_read(layers(it={**PLAIN, "_target_": target}), {}, root)


def test_a_layer_that_an_area_lacks_is_refused_and_may_lie_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"trained with the layer clay, and .*clay\.tif is not there; add it, give its"):
        layers_to_read(layers(clay=PLAIN), {}, tmp_path)
    (tmp_path / "other.tif").touch()
    found = layers_to_read(layers(clay=PLAIN), {"clay": {"paths": "other.tif"}}, tmp_path)
    assert found["clay"].paths == ("other.tif",)


def test_a_layer_that_the_model_has_not_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"layers\.sand: the model has no such layer; it has clay"):
        layers_to_read(layers(clay=PLAIN), {"sand": {"paths": "x"}}, root)


def test_the_command_line_takes_layers(composed: Any) -> None:
    told = parse(PredictConfig, composed("predict", "dates=2023-01-01", "+layers.clay.paths=[a.tif]"))
    assert told.layers == {"clay": {"paths": ["a.tif"]}}
