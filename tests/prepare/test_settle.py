"""Where each source is: as the configuration says, the area's own file, or the usual folder."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.config import DatamoduleConfig, parse
from mlssm.errors import ConfigError, DataError
from mlssm.prepare import prepare
from mlssm.prepare.settle import settle

DECIBELS = np.random.default_rng(0).normal(-11, 2, (24, 24)).astype(np.float32)
UNITS = "format: 1\nbackscatter: {units: dB*100}\n"
AREA = "format: 1\ntime_zone: America/Denver\nbackscatter: {folder: radar, units: dB}\nsoil: classes\n"


@pytest.fixture
def geotiff(tmp_path: Path, composed: Callable[..., dict[str, Any]]) -> Callable[..., DatamoduleConfig]:
    """The shipped configuration of a user's own folder, with changes."""
    root = tmp_path / "area"
    for folder in ("backscatter", "weather", "dem", "radar", "classes"):
        (root / folder).mkdir(parents=True)

    def config(*changes: str) -> DatamoduleConfig:
        places = (f"datamodule.root={root}", f"datamodule.cubes={tmp_path / 'cubes'}")
        return parse(DatamoduleConfig, composed("train", "datamodule=geotiff", *places, *changes)["datamodule"])

    return config


def folders(config: DatamoduleConfig) -> list[str | None]:
    sources = (config.backscatter, config.weather, config.dem, config.soil, config.ndvi)
    return [source.folder if source is not None else None for source in sources]


def test_without_an_area_file_the_usual_folders_count(geotiff: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config, area = settle(geotiff())
    assert area is None
    assert folders(config) == ["backscatter", "weather", "dem", None, None]
    assert [message.split(":")[0] for message in caplog.messages] == ["weather", "dem", "soil", "ndvi"]


def test_an_area_file_counts_and_what_is_set_counts_more(geotiff: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (geotiff().root / "area.yaml").write_text(AREA)
    config, area = settle(geotiff())
    assert area is not None
    assert folders(config) == ["radar", "weather", "dem", "classes", None]
    assert (config.backscatter.units, config.time_zone) == ("dB", "America/Denver")
    assert not caplog.messages
    caplog.set_level(logging.INFO)
    assert folders(settle(geotiff("datamodule.soil=null"))[0])[3] is None
    assert any(message.endswith("yaml has soil, but datamodule.soil=null leaves it out") for message in caplog.messages)
    caplog.set_level(logging.WARNING)
    caplog.clear()
    config, _ = settle(geotiff("datamodule.backscatter.units=linear", "datamodule.dem=null", "datamodule.soil=radar"))
    assert folders(config) == ["radar", "weather", None, "radar", None]
    assert config.backscatter.units == "linear"
    first, second = caplog.messages
    assert first.startswith("datamodule.backscatter.units=linear counts, not the dB of ")
    assert second.startswith("datamodule.soil.folder=radar counts, not the classes of ")


def test_a_time_zone_that_is_set_counts_more(geotiff: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (geotiff().root / "area.yaml").write_text(AREA)
    config, _ = settle(geotiff("datamodule.time_zone=America/Chicago"))
    assert config.time_zone == "America/Chicago"
    assert caplog.messages[0].startswith("datamodule.time_zone=America/Chicago counts, not the America/Denver of ")


def test_an_area_file_may_leave_a_folder_open(geotiff: Any) -> None:
    (geotiff().root / "area.yaml").write_text(UNITS)
    config, _ = settle(geotiff())
    assert (config.backscatter.folder, config.backscatter.units) == ("backscatter", "dB*100")


def test_what_is_put_together_is_checked(geotiff: Any) -> None:
    (geotiff().root / "area.yaml").write_text("format: 1\nbackscatter: {folder: radar, incidence_band: 2}\n")
    with pytest.raises(ConfigError, match="an angle has one source"):
        settle(geotiff("datamodule.backscatter.incidence_layer=x"))


def test_a_folder_that_is_needed(geotiff: Any) -> None:
    root = geotiff().root
    (root / "s1").mkdir()
    with pytest.raises(DataError, match=r"has the folders backscatter and s1; set .*\.folder to one"):
        settle(geotiff())
    for folder in ("s1", "backscatter"):
        (root / folder).rmdir()
    with pytest.raises(DataError, match="has no folder of backscatter"):
        settle(geotiff())
    (root / "VV_20230101T015902.TIF").touch()
    assert folders(settle(geotiff())[0])[0] == "."


def test_an_area_of_own_files_becomes_a_cube(geotiff: Any, area_files: Any, caplog: pytest.LogCaptureFixture) -> None:
    for folder in ("dem", "classes", "radar"):
        (geotiff().root / folder).rmdir()
    area_files.weather()
    for day in ("20230101", "20230113"):
        area_files.raster(f"backscatter/site_{day}_VV.tif", np.round(DECIBELS * 100).astype(np.int16), nodata=-9999)
    text = 'format: 1\nbackscatter: {folder: backscatter, units: dB*100, time_of_day: "01:59"}\n'
    licence = (
        'provenance: [{name: "backscatter/*", licence: CC0}, {name: backscatter/gone.tif, licence: CC0, sha256: x}]\n'
    )
    (area_files.root / "area.yaml").write_text(text + licence)
    first = prepare(geotiff(), "error")
    assert [item.licence for item in first.manifest.provenance] == ["CC0", "CC0"]
    assert any(
        "1 files of" in message and "are not there (first: backscatter/gone.tif)" in message
        for message in caplog.messages
    )
    np.testing.assert_allclose(first.backscatter(1, "VV", first.extents[0]), DECIBELS, atol=0.011)
    assert prepare(geotiff(), "error").manifest.digest == first.manifest.digest
    # what the area's file says is part of what the cube is known by
    (area_files.root / "area.yaml").write_text((text + licence).replace("01:59", "14:06"))
    second = prepare(geotiff(), "error")
    assert second.manifest.digest != first.manifest.digest
    assert list(second.morning) != list(first.morning)
    (area_files.root / "area.yaml").write_text((text + licence).replace("CC0", "CC BY 4.0"))
    assert prepare(geotiff(), "error").manifest.digest not in (first.manifest.digest, second.manifest.digest)
