"""The two commands that make labels and train nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def _table(path: Path, burst: str, hour: int, moisture: Any) -> None:
    rng = np.random.default_rng(hour)
    lines = ["datetime,burst_id,site_id,site_lon,site_lat,vv,vh"]
    for number, wet in enumerate(moisture):
        day = np.datetime64("2021-01-01T00", "s") + np.timedelta64(12 * 24 * number + hour, "h")
        vv, vh = (list(10 ** ((level + 6 * wet) / 10) * rng.gamma(10, 0.1, 9)) for level in (-13, -20))
        lines.append(f'{day},{burst},1,10.0,45.0,"{[float(v) for v in vv]}","{[float(v) for v in vh]}"')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_two_tracks_are_compared_on_tables_of_points(project: Any) -> None:
    folder = project.folder / "points"
    folder.mkdir()
    moisture = np.random.default_rng(0).random(40)
    _table(folder / "a.csv", "T001-000001-IW1", 5, moisture)
    _table(folder / "b.csv", "T002-000001-IW1", 17, moisture)
    outcome = project.run("train", "+experiment=tracks", "datamodule.root=points", "evaluation.draws=100")
    assert outcome.code == 0, outcome.stderr
    assert "0.7 VV + 0.3 VH " in outcome.stdout
    report = next((project.folder / "mlruns").rglob(f"{outcome.run_id}/artifacts/report.html"))
    assert "Ways to make labels" in report.read_text(encoding="utf-8")
    # tables are for this alone
    for overrides in (("datamodule=points", "datamodule.root=points"), ("task=tracks",)):
        refused = project.run("train", *overrides)
        assert refused.code == 1
        assert "do not go together" in refused.error
    refused = project.run("train", "+experiment=tracks", "datamodule.root=points", "retrieval.polarisation=HH")
    assert "no table in points has a value in HH" in refused.error
    for table in folder.iterdir():
        table.write_text(table.read_text(encoding="utf-8").replace(",vv,", ",hv,"), encoding="utf-8")
    refused = project.run("train", "+experiment=tracks", "datamodule.root=points")
    assert "no table in points has a value in VV" in refused.error


@pytest.mark.slow
def test_an_areas_labels_are_reported_without_a_training(project: Any, area_copy: Path, real: tuple[str, ...]) -> None:
    outcome = project.run("train", *real, "+report=labels", "tracks.most_hours=200")
    assert outcome.code == 0, outcome.stderr
    assert "extent 1: reasons" in outcome.stdout
    assert "epoch" not in outcome.stderr
    kept = next((project.folder / "mlruns").rglob(f"{outcome.run_id}/artifacts"))
    assert {"labels_references_1.csv", "labels_reasons_1.csv", "labels_reasons_1.tif", "report.html"} <= {
        path.name for path in kept.iterdir()
    }
    assert (kept / "figures" / "labels_masks_1.png").is_file()
