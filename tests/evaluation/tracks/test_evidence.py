import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlssm.config import EvaluationConfig
from mlssm.evaluation.page import render
from mlssm.evaluation.tracks.designs import NO_MASKS
from mlssm.evaluation.tracks.evidence import Evidence, Settings, gather
from mlssm.evaluation.tracks.page import tracks_page
from mlssm.retrieval.noise import Speckle, speckle_variance_db
from mlssm.retrieval.points import PointLabels, point_labels, point_speckle
from mlssm.sources.faults import BadFiles
from mlssm.sources.points import PointSeries, read_points

MIX = {"VV": 0.7, "VH": 0.3}


def settings(train_config: Any, speckle: Speckle) -> Settings:
    config = train_config("retrieval.multilook_m=90")
    return Settings(config.retrieval, config.tracks, config.evaluation, speckle, 0)


def simulated(track: int, moisture: Any, looks: float = 10, span: float = 6.0, seed: int = 0) -> PointSeries:
    """Backscatter that follows moisture, with independent speckle of each pixel and polarisation."""
    rng = np.random.default_rng((seed, track))
    times = np.datetime64("2020-10-01T00", "s") + np.arange(len(moisture)) * np.timedelta64(288, "h")
    level = {"VV": -12.0, "VH": -19.0}
    power = {
        name: 10 ** ((base + span * moisture[:, None]) / 10) * rng.gamma(looks, 1 / looks, (len(moisture), 9))
        for name, base in level.items()
    }
    return PointSeries("1", f"T{track:03d}-000001-IW1", 0.0, 0.0, times, power)


def test_speckle_of_points_is_found(train_config: Any) -> None:
    many = [simulated(track, np.random.default_rng(track).random(100)) for track in range(8)]
    found = point_speckle(many, "VV")
    assert abs(found.looks / 10 - 1) < 0.1
    assert max(found.correlation) < 0.1


def test_the_spread_of_a_mixed_mean_is_that_of_its_speckle(train_config: Any) -> None:
    still = simulated(1, np.zeros(4000))
    config = train_config().retrieval.model_copy(update=NO_MASKS)
    found = point_labels(still, MIX, config, Speckle(10.0))
    assert abs(found.spread / math.sqrt(0.58 * speckle_variance_db(90.0)) - 1) < 1e-6
    seen = found.relative[:, 0] * found.span[:, 0]
    assert abs(seen.std() / found.spread - 1) < 0.04


def test_labels_of_points_are_those_of_the_formula(train_config: Any) -> None:
    series = simulated(1, np.random.default_rng(3).random(60))
    config = train_config().retrieval.model_copy(update=NO_MASKS)
    found: PointLabels = point_labels(series, MIX, config, Speckle(10.0))
    mean = {name: 10 * np.log10(power.mean(axis=1)) for name, power in series.power.items()}
    sigma = 0.7 * mean["VV"] + 0.3 * mean["VH"]
    dry, wet = np.percentile(sigma, [5, 95])
    np.testing.assert_allclose(found.ssm[:, 0], np.clip((sigma - dry) / (wet - dry), 0, 1), atol=0.003)
    np.testing.assert_allclose(found.span[0, 0], wet - dry, atol=0.02)


def test_two_tracks_of_one_moisture_agree_more_with_the_mix(train_config: Any) -> None:
    moisture = np.random.default_rng(0).random(90)
    many = [simulated(1, moisture, looks=2), simulated(2, moisture, looks=2)]
    pairs, found = gather(many, settings(train_config, Speckle(2.0)))
    assert len(pairs) == 1
    designs = found.designs.set_index("design")["change"]
    assert designs["0.7 VV + 0.3 VH"] > 0
    assert designs["single pixel"] < -0.1
    assert found.noise.set_index("what")["value"]["VV: share of speckle"] > 0.1


def test_without_pairs_the_tables_are_there_and_empty_of_numbers(train_config: Any) -> None:
    pairs, found = gather([simulated(1, np.random.default_rng(0).random(40))], settings(train_config, Speckle(10.0)))
    assert not pairs
    assert found.agreement["r"].isna().all()
    assert "What two tracks agree on" in render(tracks_page("nowhere", found))


def test_series_without_vh_or_vv_do_not_stop_the_others(train_config: Any, caplog: Any) -> None:
    moisture = np.random.default_rng(0).random(40)
    whole = [simulated(1, moisture), simulated(2, moisture)]
    no_vh = [replace(each, site="2", power={"VV": each.power["VV"]}) for each in whole]
    no_vv = [replace(each, site="3", power={"VH": each.power["VH"]}) for each in whole]
    gaps = [replace(each, site="4", power={name: p.copy() for name, p in each.power.items()}) for each in whole]
    gaps[0].power["VV"][:, 3] = np.nan  # one pixel is never there
    gaps[0].power["VH"][5:] = np.nan  # and VH hardly
    pairs, found = gather([*whole, *no_vh, *no_vv, *gaps], settings(train_config, Speckle(10.0)))
    assert [pair.site for pair in pairs] == ["1", "2", "4"]
    assert "site 3, burst T001-000001-IW1 has no VV: left out" in caplog.text
    assert "1 of 3 pairs lack a polarisation" in caplog.text
    assert found.agreement["r"].notna().iloc[[0, 3]].all()
    assert found.noise["value"].notna().all()


def test_a_track_that_does_not_vary_is_told_and_not_counted(train_config: Any, caplog: Any) -> None:
    moisture = np.random.default_rng(0).random(40)
    whole = [simulated(1, moisture), simulated(2, moisture)]
    power = {name: np.broadcast_to(each[:1], each.shape) for name, each in whole[0].power.items()}
    still = [replace(each, site="2", power=power) for each in whole]
    _, found = gather([*whole, *still], settings(train_config, Speckle(10.0)))
    assert found.agreement["pairs"].tolist()[0] == 1
    assert found.designs["pairs"].tolist() == [1] * len(found.designs)
    assert "site 2: labels of T001-000001-IW1 or T002-000001-IW1 do not vary: not counted" in caplog.text


@pytest.fixture(scope="module")
def real(shared: Path, train_config: Any) -> Evidence:
    folder = shared / "opera_points" / "tables"
    if not folder.is_dir():
        pytest.skip("no opera_points beside the checkout")
    many = read_points(folder, "linear", BadFiles("error"))
    made = settings(train_config, point_speckle(many, "VV"))
    few = EvaluationConfig(**{**made.evaluation.model_dump(), "draws": 1000})
    pairs, found = gather(many, Settings(made.retrieval, made.tracks, few, made.speckle, 0))
    assert (len(pairs), len({pair.site for pair in pairs})) == (16, 14)
    return found


def near(table: pd.DataFrame, key: str, column: str, wanted: Mapping[str, float]) -> None:
    found = table.set_index(key)[column]
    for name, value in wanted.items():
        assert abs(found[name] - value) <= 0.02, (name, found[name], value)


def test_the_real_tracks_agree_as_they_are_known_to(real: Evidence) -> None:
    """Numbers of an independent look at the same sites, given to two digits."""
    known = {"mean of the pixels": 0.56, "both spans at least 5 dB": 0.76, "smaller span below 5 dB": 0.45}
    near(real.agreement, "labels", "r", known | {"single pixel": 0.34})
    near(real.agreement.head(1), "labels", "anomaly_r", {"mean of the pixels": 0.43})
    near(real.agreement.head(1), "labels", "ubrmsd", {"mean of the pixels": 0.28})
    near(real.agreement.head(1), "labels", "low", {"mean of the pixels": 0.45})
    near(real.agreement.head(1), "labels", "high", {"mean of the pixels": 0.67})


def test_the_real_tracks_prefer_the_mix(real: Evidence) -> None:
    known = {"0.7 VV + 0.3 VH": 0.076, "0.7 VV + 0.3 VH against VV of the other track": 0.019}
    known |= {"minimum and maximum as references": 0.007, "2 and 98 %": 0.007, "10 and 90 %": -0.016}
    known |= {"references per season": -0.035, "less 0.5 (VH - VV)": -0.110, "linear power": 0.002}
    near(real.designs, "design", "change", known)
    near(real.designs.head(1), "design", "low", {"0.7 VV + 0.3 VH": 0.031})
    near(real.designs.head(1), "design", "high", {"0.7 VV + 0.3 VH": 0.124})


def test_the_time_of_day_makes_no_difference_on_the_real_tracks(real: Evidence) -> None:
    last = real.conditions.iloc[-1]
    assert last["low"] < 0 < last["high"]
    assert abs(last["value"]) < 0.03


def test_the_mask_by_speckle_and_the_shares_of_variance_are_as_known(real: Evidence) -> None:
    mixed = real.masks[real.masks["channel"] == "0.7 VV + 0.3 VH"]
    known = {("single", 0.0, 2.0): (1.0, 0.46), ("single", 4.65, 2.0): (0.59, 0.59), ("mean", 0.0, 0.0): (1.0, 0.67)}
    known |= {("mean", 4.65, 2.0): (0.94, 0.66), ("mean", 6.6, 2.0): (0.75, 0.72)}
    found = mixed.set_index(["pixels", "times_s", "least_db"])[["coverage", "pooled_r"]]
    for place, wanted in known.items():
        np.testing.assert_allclose(found.loc[place], wanted, atol=0.02)
    shares = {"VV: share that both tracks see": 0.57, "VV: share of speckle": 0.22}
    shares |= {"0.7 VV + 0.3 VH: share that both tracks see": 0.64, "0.7 VV + 0.3 VH: share of speckle": 0.15}
    near(real.noise, "what", "value", shares)
    near(real.dates, "days", "r", {"60": 0.32, "182": 0.49, "all": 0.56})
