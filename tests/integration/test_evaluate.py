"""`evaluate.py`: a trained run's maps against what stations measured in the ground."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow
FEW = ("draws=100", "least_days=30", "reach=8", "dates=2020-09-15/2021-02-28")


@pytest.fixture(scope="module")
def evaluated(trained: Any) -> tuple[Any, Any]:
    """The project, and what came of comparing its model with the simulated probes."""
    project, _ = trained
    return project, project.run("evaluate", "insitu=data/simulated/insitu", *FEW)


def artifacts(project: Any, outcome: Any) -> Path:
    return next((project.folder / "mlruns").rglob(f"{outcome.run_id}/artifacts"))


def test_maps_follow_probes_that_measure_the_truth(evaluated: tuple[Any, Any], trained: Any, tmp_path: Path) -> None:
    project, outcome = evaluated
    assert outcome.code == 0, outcome.stderr
    run = project.client.get_run(outcome.run_id)
    assert run.data.tags["mlssm.kind"] == "evaluation"
    assert run.data.tags["mlssm.evaluates"] == trained[1].run_id
    assert run.info.status == "FINISHED"
    table = project.table(run, "insitu_stations.csv", tmp_path)
    rows = table[(table["series"] == "model") & (table["days"] == "all days")]
    places = project.table(run, "insitu_places.csv", tmp_path).set_index("station")
    assert len(rows) > 2
    assert (rows["n"].to_numpy() == places.loc[rows["station"], "days_mapped"].to_numpy()).all()
    assert run.data.metrics["insitu/model/r_median"] == pytest.approx(rows["r"].median())
    # rain made the truth
    pooled = project.table(run, "insitu_pooled.csv", tmp_path).set_index(["series", "days"])
    assert pooled.loc[("rain alone", "all days"), "r_median"] > 0.5
    # the table of days is what the scores were made of
    days = project.table(run, "insitu_series.csv", tmp_path)
    own = days[(days["name"] == rows["station"].iloc[0])][["model", "station", "rain"]].dropna()
    assert np.corrcoef(own["model"], own["station"])[0, 1] == pytest.approx(rows["r"].iloc[0])


def test_tables_figures_and_the_page_are_kept(evaluated: tuple[Any, Any]) -> None:
    project, outcome = evaluated
    kept = artifacts(project, outcome)
    names = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    assert {"report.html", "insitu_pooled.md", "figures/insitu_correlation.png", "config.yaml"} <= names
    assert "figures/insitu_series_1.png" in names
    page = (kept / "report.html").read_text(encoding="utf-8")
    assert "a bias against a station means nothing" in page
    assert re.search(r"^model +all days +\d", outcome.stdout, re.MULTILINE)
    told = next(line for line in outcome.stdout.splitlines() if line.startswith("Report: "))
    assert (project.folder / told.removeprefix("Report: ")).samefile(kept / "report.html")


def test_an_evaluation_is_no_training(evaluated: tuple[Any, Any], trained: Any) -> None:
    project, _ = evaluated
    found = project.run("evaluate", "insitu=data/simulated/insitu", "dates=2019-01-01/2019-02-01")
    assert f"run=latest: {trained[1].run_id}" in found.stderr
    assert found.code == 1
    assert "no day of theirs remains" in found.error


def test_stations_outside_are_named_and_without_one_inside_nothing_is_done(
    evaluated: tuple[Any, Any], shared: Path, tmp_path: Path
) -> None:
    project, _ = evaluated
    probes = pd.read_csv(project.folder / "data" / "simulated" / "insitu" / "probes.csv")
    far = probes[probes["station"] == "PROBE1"].assign(station="FAR", longitude=-100.0)
    one = probes[probes["station"] == "PROBE2"]
    pd.concat([far, one]).to_csv(tmp_path / "some.csv", index=False)
    some = project.run("evaluate", f"insitu={tmp_path / 'some.csv'}", *FEW)
    assert some.code == 0, some.stderr
    assert "1 of 2 stations lie outside of the area and are left out: FAR" in some.stderr
    far.to_csv(tmp_path / "some.csv", index=False)
    before = len(project.runs("mlssm"))
    none = project.run("evaluate", f"insitu={tmp_path / 'some.csv'}", *FEW)
    assert none.code == 1
    assert "none of the 1 stations lies in the area" in none.error
    assert len(project.runs("mlssm")) == before


def test_a_real_stations_year_is_read_and_matched_where_it_is_moved_into_the_area(
    evaluated: tuple[Any, Any], shared: Path, tmp_path: Path
) -> None:
    """Real soil under simulated rain: their correlation says nothing, the path does."""
    project, _ = evaluated
    table = pd.read_parquet(shared / "reference" / "uscrn_2020_daily.parquet")
    own = table[table["wban"] == "53152"]  # near Santa Barbara
    assert own["soil_moisture_5_daily"].notna().sum() > 200
    probes = pd.read_csv(project.folder / "data" / "simulated" / "insitu" / "probes.csv")
    place = probes[["longitude", "latitude"]].iloc[0]
    moved = own.assign(longitude=place["longitude"], latitude=place["latitude"])
    path = tmp_path / "moved.parquet"
    moved.to_parquet(path)
    outcome = project.run("evaluate", f"insitu={path}", "scaling=cdf", "block_days=10", *FEW)
    assert outcome.code == 0, outcome.stderr
    days = project.table(project.client.get_run(outcome.run_id), "insitu_series.csv", tmp_path)
    measured = own.set_index(own["lst_date"].astype(str).str[:10])["soil_moisture_5_daily"]
    frozen = own.set_index(own["lst_date"].astype(str).str[:10])["soil_temp_5_daily"] < 0
    matched = days[days["model"].notna()].set_index("day")["station"]
    assert len(matched) > 60
    # the tiny area's passes are of the evening: a day is compared with itself
    known = [day for day in matched.index if not frozen[str(day)[:10]]]
    np.testing.assert_allclose(matched[known], measured[[str(day)[:10] for day in known]], atol=1e-6)


def test_what_is_measured_is_asked_for_before_any_work(project: Any, tmp_path: Path) -> None:
    wrong = project.run("evaluate", "insitu=nowhere")
    assert wrong.code == 1
    assert wrong.error == "insitu=nowhere is not there; give the folder or file of what was measured"
    bare = project.run("evaluate", "insitu=nowhere", "csv.depth=null")
    assert "set one of csv.depth and csv.depth_m" in bare.error
