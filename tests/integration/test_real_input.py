"""The real area, end to end for one epoch, as the README gives the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

pytestmark = pytest.mark.slow

EXTENTS, SIDE = 5, 100


@pytest.fixture(scope="module")
def trained_on_real(shared: Path, tmp_path_factory: pytest.TempPathFactory, trained: Any) -> Any:
    project = type(trained[0])(tmp_path_factory.mktemp("real"))
    outcome = project.run(
        "train",
        *("datamodule=opera_rtc", f"datamodule.root={shared / 'santa_barbara'}"),
        *("split=by_season", "split.test=[2022]", "model.lag=3", "retrieval.multilook_m=150", "trainer.max_epochs=1"),
        "retrieval=vv",  # the labels of the yardstick
        figures="made",
    )
    assert outcome.code == 0, outcome.stderr
    return project, outcome


def test_a_season_is_held_out_and_scored_beside_the_yardstick(trained_on_real: Any, tmp_path: Path) -> None:
    project, outcome = trained_on_real
    metrics = project.client.get_run(outcome.run_id).data.metrics
    assert "test 30 patches on 6 dates" in outcome.stderr  # 5 extents, 6 dates from 2 November 2022 to 1 January 2023
    assert metrics["test/n"] > 4000
    assert 0.7 < metrics["test/natural/r2_cap"] < 1
    # rain of three days says something of the soil, the pixel's mean nothing
    scores = pd.read_csv(project.client.download_artifacts(outcome.run_id, "scores.csv", str(tmp_path)))
    r2 = scores[(scores["split"] == "test") & (scores["distribution"] == "natural")].set_index("model")["r2"]
    assert r2["antecedent rain"] > 0.2
    assert r2["pixel mean"] < 0.1


def test_what_is_missing_at_every_station_is_told_and_gets_a_channel(trained_on_real: Any) -> None:
    _, outcome = trained_on_real
    for name in ("wind", "vapour_pressure"):
        assert f"{name} is missing at every station in the window of 2 dates" in outcome.stderr
        assert f"{name}_available" in outcome.stderr
    assert "terrain is missing in places" in outcome.stderr
    assert "left out, as the datamodule has no source for it: soil, ndvi" in outcome.stderr


def test_the_day_of_the_storm_is_mapped_on_the_images_grid(trained_on_real: Any, shared: Path) -> None:
    project, _ = trained_on_real
    done = project.run("predict", "dates=[2023-01-01]")
    assert done.code == 0, done.stderr
    path = project.folder / "maps" / "ssm_20230101.tif"
    assert cog_validate(path, quiet=True)[0]
    assert path.with_suffix(".png").stat().st_size > 10_000
    with rasterio.open(path) as source:
        assert source.crs.to_epsg() == 32611
        assert source.res == (30, 30)
        ssm = source.read(1)
        for image in (shared / "santa_barbara" / "sentinel1").glob("*20230101*_VV.tif"):
            with rasterio.open(image) as original:
                window = source.window(*original.bounds)
                values = source.read(1, window=window)
                assert values.shape == original.shape
                assert np.isfinite(values).mean() > 0.9
    known = ssm[np.isfinite(ssm)]
    assert known.size <= EXTENTS * SIDE**2
    assert known.min() >= 0
    assert known.max() <= 1
