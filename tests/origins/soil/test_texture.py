"""The texture triangle, against the points that the Soil Survey Manual names."""

from __future__ import annotations

import numpy as np
import pytest

from mlssm.origins.soil.texture import CLASSES, texture_code, texture_codes


@pytest.mark.parametrize(
    ("clay", "sand", "name"),
    [
        (3, 92, "sand"),
        (6, 82, "loamy sand"),
        (10, 65, "sandy loam"),
        (5, 50, "sandy loam"),
        (18, 42, "loam"),
        (15, 20, "silt loam"),
        (5, 8, "silt"),
        (27.5, 60, "sandy clay loam"),
        (34, 33, "clay loam"),
        (34, 10, "silty clay loam"),
        (42, 52, "sandy clay"),
        (47, 6, "silty clay"),
        (60, 20, "clay"),
    ],
)
def test_the_middle_of_each_class_is_of_it(clay: float, sand: float, name: str) -> None:
    code = texture_codes(np.array([clay], np.float32), np.array([sand], np.float32))
    assert CLASSES[int(code[0])] == name


def test_a_missing_part_is_no_class() -> None:
    clay, sand = np.array([np.nan, 20], np.float32), np.array([40, np.nan], np.float32)
    assert texture_codes(clay, sand).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Fine sandy loam", "sandy loam"),
        ("Loamy fine sand", "loamy sand"),
        ("Very fine sand", "sand"),
        ("Silt", "silt"),
    ],
)
def test_names_of_a_survey_lead_to_the_twelve(name: str, plain: str) -> None:
    assert CLASSES[texture_code(name)] == plain


@pytest.mark.parametrize("name", ["Muck", "", None])
def test_what_is_no_mineral_soil_is_no_class(name: str | None) -> None:
    assert texture_code(name) == 0
