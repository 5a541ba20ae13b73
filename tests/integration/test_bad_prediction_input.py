"""What `predict.py` says to input that it cannot use."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import rasterio

from mlssm.config import SimulationConfig
from mlssm.origins.simulation.simulate import simulate

pytestmark = pytest.mark.slow

DAY = "dates=[2020-12-02]"

WRONG = {
    "unknown run": (("run=0123abc", DAY), r"no run '0123abc' in experiment 'mlssm'"),
    "empty dates": (("dates=[]",), r"dates is empty; give e\.g\."),
    "no such month": (("dates=2020-13-01",), r"dates=2020-13-01 is not a date such as 2023-01-01"),
    "a week": (("dates=2020-W50",), r"dates=2020-W50 is not a date"),
    "digits alone": (("dates=[20201202]",), r"dates.*20201202"),
    "one bad date among good ones": (("dates=[2020-12-02,soon]",), r"dates=soon is not a date"),
    "open interval": (("dates=2020-12-01/",), r"dates=2020-12-01/ is not a date"),
    "backward interval": (("dates=2020-12-05/2020-12-01",), r"dates=2020-12-05/2020-12-01 ends before it begins"),
    "after the weather record": (
        ("dates=[2035-01-01]",),
        r"2035-01-01.*the stations have 2020-\d\d-\d\d to 2021-08-31",
    ),
    "before the weather record": (("dates=1999-01-01/1999-12-31",), r"none of the 365 days.*the stations have"),
    "unknown accelerator": ((DAY, "accelerator=abacus"), r"accelerator=abacus is not known; choose one of auto, cpu"),
    "overlap of a whole tile": ((DAY, "tile=32", "overlap=32"), r"overlap=32 is not allowed with tile=32"),
    "no such root": ((DAY, "root=nowhere"), r"root=nowhere is not a folder"),
    "unknown key": ((DAY, "date=3"), r"'date'; did you mean dates\?"),
}


def _check_told(outcome: Any, message: str, output: Path) -> None:
    outcome.check_told(message)
    assert not output.exists() or list(output.iterdir()) == []


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_word_is_named_with_its_cure(name: str, trained: Any, tmp_path: Path) -> None:
    asked, message = WRONG[name]
    output = tmp_path / "maps"
    _check_told(trained[0].run("predict", *asked, f"output={output}"), message, output)


def test_a_run_that_was_never_made_is_told(project: Any) -> None:
    outcome = project.run("predict", DAY)
    _check_told(
        outcome, r"no finished training with a model .*; train first with: python train\.py", project.folder / "maps"
    )


def test_a_file_in_the_place_of_the_output_folder_is_told(trained: Any, tmp_path: Path) -> None:
    output = tmp_path / "maps"
    output.write_text("not a folder", encoding="utf-8")
    outcome = trained[0].run("predict", DAY, f"output={output}")
    assert outcome.code == 1
    assert re.search(r"maps/ssm_20201202\.tif cannot be written", outcome.error)


def _other_soil(area: Path) -> None:
    _recode_soil(area, 9)


def _recode_soil(area: Path, code: int) -> None:
    """Give the highest soil class another code."""
    path = area / "soil" / "soil.tif"
    with rasterio.open(path) as source:
        values, profile = source.read(), source.profile
    values[values == values.max()] = code
    path.unlink()
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_soil, r"the data do not fit the model: static channels not known to the model: soil_9"),
        (lambda area: shutil.rmtree(area / "soil"), r"the model was trained with soil, and root=.* has no soil; "),
        (lambda area: shutil.rmtree(area / "ndvi"), r"the model was trained with ndvi, and root=.* has no ndvi; "),
    ],
    ids=["other soil classes", "no soil", "no NDVI"],
)
def test_an_area_that_does_not_fit_the_model_is_refused(
    change: Any, message: str, trained: Any, area_copy: Path, tmp_path: Path
) -> None:
    change(area_copy)
    output = tmp_path / "maps"
    outcome = trained[0].run("predict", DAY, f"root={area_copy}", f"output={output}")
    _check_told(outcome, message, output)


def test_an_area_of_another_resolution_is_refused(trained: Any, tmp_path: Path) -> None:
    config = SimulationConfig(
        **{"seed": 3, "size": 40, "pixel_m": 20, "first_season": 2020, "seasons": 1, "revisit_days": 48},
        **{"looks": 10, "speckle": True, "stations": 1, "gap_fraction": 0.0},
        **{"vegetation_attenuation": 0.4, "angle_slope_db_per_deg": -0.12},
    )
    simulate(config, tmp_path / "area")
    output = tmp_path / "maps"
    outcome = trained[0].run("predict", DAY, f"root={tmp_path / 'area'}", f"output={output}")
    _check_told(outcome, r"trained on 90 m pixels, which the area's of 20 m cannot be brought to", output)


def test_soil_classes_that_the_area_lacks_are_no_obstacle(trained: Any, area_copy: Path, tmp_path: Path) -> None:
    _recode_soil(area_copy, 1)
    outcome = trained[0].run("predict", DAY, f"root={area_copy}", f"output={tmp_path / 'maps'}")
    assert outcome.code == 0, outcome.stderr
    assert (tmp_path / "maps" / "ssm_20201202.tif").is_file()
