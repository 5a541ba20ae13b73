"""What datamodule says of an area that is fetched."""

from typing import Any

import pytest

from mlssm.config import TrainConfig, parse
from mlssm.errors import ConfigError

DATES = "dates=2021-09-01/2024-08-31"


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["datamodule=stac"], "set area=FILE.geojson"),
        (["datamodule=stac", "area=a.geojson"], "set area=FILE.geojson"),
        (
            ["datamodule=stac", "area=a.geojson", "dates=2021"],
            "write the first and the last day as 2021-09-01/2024-08-31",
        ),
        (["datamodule=stac", "area=a.geojson", "dates=2021-09-01/2021-02-31"], "write the first and the last day"),
        (["datamodule=stac", "area=a.geojson", "dates=2021-09-01/2020-09-01"], "the last day is before the first"),
        (["datamodule=stac", "area=a.geojson", DATES, "+datamodule.origin.dem.servise=x"], "unknown configuration key"),
        (["area=a.geojson"], "'area' is for an area that is fetched"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_asked(composed: Any, overrides: list[str], match: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=match):
        parse(TrainConfig, composed("train", *overrides))


@pytest.mark.parametrize("area", ["area=[-77.1,38.5,-76.6,39.1]", "area='-77.1,38.5,-76.6,39.1'", "area=aoi.geojson"])
def test_an_area_is_a_file_or_a_box(composed: Any, area: str) -> None:
    typed: Any = parse(TrainConfig, composed("train", "datamodule=stac", area, DATES))
    assert typed.datamodule.area in ((-77.1, 38.5, -76.6, 39.1), "-77.1,38.5,-76.6,39.1", "aoi.geojson")
