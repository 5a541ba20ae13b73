"""The commands as functions: what they are told, and what importing the package costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

import mlssm
from mlssm.api import literal
from mlssm.errors import ConfigError

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="$"))  # ${ is resolved
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
VALUES = st.recursive(NUMBERS | TEXT, lambda each: st.lists(each, max_size=3), max_leaves=5)


def parsed(text: str) -> Any:
    (override,) = OverridesParser.create().parse_overrides([f"key={text}"])
    return override.value()


@given(VALUES)
def test_a_value_comes_back_from_hydras_own_parser(value: object) -> None:
    assert parsed(literal(value)) == value


def test_a_path_and_a_mapping_are_written_as_hydra_has_them() -> None:
    assert parsed(literal({"root": Path("my area") / "it's", "layers": None})) == {
        "root": "my area/it's",
        "layers": None,
    }


def test_a_value_that_no_configuration_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="is a object; give text, numbers, lists or mappings"):
        literal(object())


def test_importing_the_package_imports_nothing_slow() -> None:
    program = "import sys, mlssm; print(sorted(set(sys.modules) & {'numpy', 'hydra', 'torch', 'xarray', 'mlssm.api'}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_the_package_names_what_it_gives() -> None:
    assert {"train", "predict", "open_area", "load_run"} <= set(dir(mlssm))
    assert mlssm.train.__module__ == "mlssm.api"
    with pytest.raises(AttributeError, match="'mlssm' has no attribute 'trian'"):
        _ = mlssm.trian


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("modle.lag=3", "did you mean model.lag"),
        ("model=conv", "unknown choice model=conv; choose one of"),
        ("model.lag=1,2,3", "multirun"),
        ("model.lag=0", "lag=0 is not allowed"),
        ("+experiment=leakage", "sweep of several trainings"),
        ("datamodule=opera_rtc", "datamodule.root is not set"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_the_words_of_the_command_line(told: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mlssm.train(told)


def test_a_dry_run_trains_nothing() -> None:
    fetched = {"datamodule": "stac", "area": [-119.9, 34.4, -119.8, 34.5], "dates": "2021-09-01/2022-08-31"}
    with pytest.raises(ConfigError, match="dry_run=true trains nothing"):
        mlssm.train(fetched, {"datamodule.dry_run": True})
