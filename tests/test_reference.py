"""The reference of the configuration: complete, with the types' own limits and the shipped defaults."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    path = REPOSITORY / "docs" / "reference_configuration.py"
    spec = importlib.util.spec_from_file_location("reference_configuration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def leaves(values: Any, prefix: str = "") -> set[str]:
    found = set()
    for key, value in values.items():
        path = f"{prefix}{key}"
        found |= leaves(value, f"{path}.") if isinstance(value, dict) and value else {path}
    return found


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_every_key_says_what_it_means(reference: ModuleType, command: str) -> None:
    assert [key.path for key in reference.keys(command) if not key.meaning] == []


def test_every_key_of_the_models_and_of_the_areas_file_says_what_it_means(reference: ModuleType) -> None:
    for choice, keys in reference.model_keys().items():
        assert [key.path for key in keys if not key.meaning] == [], choice
    assert [key.path for key in reference.area_keys() if not key.meaning] == []


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_every_key_that_is_composed_is_there(reference: ModuleType, composed: Any, command: str) -> None:
    told = {"evaluate": ("insitu=stations",)}.get(command, ())
    values = {key: value for key, value in composed(command, *told).items() if key not in ("hydra", "model")}
    known = {key.path for key in reference.keys(command)}
    # keys of a user's own names end with the section that holds them
    missing = {path for path in leaves(values) if not any(path == key or path.startswith(f"{key}.") for key in known)}
    assert missing == set()


def test_a_key_has_its_limits_default_and_meaning(reference: ModuleType) -> None:
    keys = {key.path: key for key in reference.keys("train")}
    assert keys["optimiser.batch_size"].allowed == "whole number, ≥ 1"
    assert keys["evaluation.level"].allowed == "number, > 0.5 and < 1"
    assert keys["evaluation.level"].default == "0.95"
    assert keys["features.on_missing"].allowed == "`fill`, `drop`"
    assert keys["datamodule.grid.crs"].allowed == "text or null"
    assert keys["features.on_missing"].meaning.startswith("`fill` with the training mean")
    assert keys["seeds"].meaning.startswith("trainings with seed, seed + 1")
    models = {key.path: key for key in reference.model_keys()["convlstm"]}
    assert (models["model.lag"].default, models["model.hidden"].default) == ("10", "[16]")


def test_a_quoted_sign_in_a_value_is_no_comment(reference: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("a: # of a\n  b: 1 # of b\n  c: 2\nd:\n  e: '#3' # of e\n")
    assert reference._notes(path, "x.") == {"x.a": "of a", "x.a.b": "of b", "x.d.e": "of e"}
