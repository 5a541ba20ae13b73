import math

import numpy as np
import pandas as pd
import pytest

from mlssm.evaluation.figures.ground import station_correlation, station_scatter, station_series
from mlssm.evaluation.ground.matched import Matched
from mlssm.evaluation.ground.page import Told, ground_figures, ground_page
from mlssm.evaluation.ground.scores import HowToScore
from mlssm.evaluation.ground.tables import (
    HELD_OUT,
    IMAGES,
    MODEL,
    Scored,
    Series,
    places_table,
    pooled_table,
    station_table,
)
from mlssm.evaluation.page import render
from mlssm.scores.bootstrap import Resampling
from mlssm.sources.insitu.stations import Station

HOW = HowToScore("mean_std", 35, 30, 20, Resampling(200, 0.95, 0))
TOLD = Told("insitu", "run", 150.0, ("A rule.",), ("1 of 3 stations lies outside <here>.",), 0.9)


def station(name: str, noise: float, days: int = 500) -> Matched:
    rng = np.random.default_rng(len(name))
    index = pd.date_range("2021-01-01", periods=days)
    truth = 0.5 + 0.3 * np.sin(np.arange(days) / 9) + 0.02 * rng.standard_normal(days)
    table = pd.DataFrame(
        {
            "station": 0.1 + 0.3 * truth,
            "model": truth + noise * rng.standard_normal(days),
            "response": np.nan,
            "fitted_rain": truth + 0.5 * rng.standard_normal(days),
            "rain": 3 * truth + 2 * rng.standard_normal(days),
            "retrieved": np.where(np.arange(days) % 6 == 0, truth + 0.1 * rng.standard_normal(days), np.nan),
            "rain_mm": rng.exponential(3, days),
            "held_out": np.arange(days) >= 300,
        },
        index,
    )
    table = table.assign(lower=table["model"] - 0.1, upper=table["model"] + 0.1)
    table.loc[index[10:30], "station"] = np.nan
    place = Station(name, -119.8 + 0.01 * len(name), 34.4, ("5 cm", "6 cm"), table["station"].dropna(), 3)
    return Matched(place, 40.0, table, 5.0)


@pytest.fixture(scope="module")
def scored() -> list[Scored]:
    return [Scored.of(each, HOW, 20) for each in (station("A", 0.05), station("BB", 0.4), station("CCC", 0.1, 40))]


def test_a_row_is_a_station_a_series_and_its_days(scored: list[Scored]) -> None:
    table = station_table(scored)
    a = table[table["station"] == "A"].set_index(["series", "days"])
    assert a.loc[("model", "all days"), "n"] == 480
    assert a.loc[("model", HELD_OUT), "n"] == 200
    images = a.loc[("retrieved from images", IMAGES), "n"]
    assert images == a.loc[("model", IMAGES), "n"] == a.loc[("rain alone", IMAGES), "n"] < 90
    days = station("A", 0.05).days
    known = days["station"].notna() & days["held_out"]
    r = np.corrcoef(days.loc[known, "model"], days.loc[known, "station"])[0, 1]
    assert a.loc[("model", HELD_OUT), "r"] == pytest.approx(r)
    # what there is not, is no row; rain gains nothing over itself
    assert ("closed form", "all days") not in a.index
    assert math.isnan(a.loc[("rain alone", "all days"), "r_gain"])
    gain = a.loc[("model", "all days"), "r"] - a.loc[("rain alone", "all days"), "r"]
    assert a.loc[("model", "all days"), "r_gain"] == pytest.approx(gain)
    # of images fewer are enough
    few = Scored.of(station("A", 0.05), HOW, 300)
    assert few.scores[Series("model", "model", IMAGES)].reason == f"{images} days, fewer than 300"
    short = table[table["station"] == "CCC"]
    assert short.iloc[0]["reason"] == "3 blocks of 30 days: no interval"


def test_pooled_are_medians_and_shares_of_what_is_significant(scored: list[Scored]) -> None:
    pooled = pooled_table(scored).set_index(["series", "days"])
    row, table = pooled.loc[("model", "all days")], station_table(scored)
    own = table[(table["series"] == "model") & (table["days"] == "all days")]
    assert row["stations"] == 3
    assert row["r_median"] == pytest.approx(own["r"].median())
    # of the short station no interval is known
    assert row["share_r_above_0"] == 1.0
    better = (own["r_gain_low"] > 0).sum() / own["r_gain_low"].notna().sum()
    assert row["share_better_than_rain"] == pytest.approx(better)
    assert row["station_days"] == own["n"].sum()


def test_places_count_days(scored: list[Scored]) -> None:
    places = places_table(scored).set_index("station")
    assert tuple(places.loc["A", ["sensors", "days_measured", "days_mapped", "days_frozen"]]) == (2, 480, 480, 3)
    assert (places.loc["A", "first"], places.loc["A", "last"]) == ("2021-01-01", "2022-05-15")


def test_a_station_without_a_map_has_no_score_and_no_figure() -> None:
    bare = station("A", 0.1)
    bare.days["model"] = np.nan
    (found,) = [Scored.of(bare, HOW, 20)]
    assert found.scores[MODEL].reason == "0 days, fewer than 20"
    assert ground_figures([found], HOW) == ()
    assert pooled_table([found]).empty
    assert "0 days, fewer than 20" in render(ground_page([found], (), TOLD, HOW))


def test_figures_show_the_numbers(scored: list[Scored]) -> None:
    figures = {each.stem: each.figure for each in ground_figures(scored, HOW)}
    assert set(figures) == {"insitu_correlation", "insitu_scatter", *(f"insitu_series_{n}" for n in (1, 2, 3))}
    bars, extent, *_ = figures["insitu_correlation"].axes
    assert [label.get_text() for label in bars.get_yticklabels()] == ["A", "BB", "CCC"]
    marks = {each.get_label(): each for each in bars.containers}
    table = station_table(scored)
    own = table[(table["series"] == "model") & (table["days"] == "all days")]
    np.testing.assert_allclose(np.asarray(marks["model"][0].get_xdata(), float), own["r"])
    assert len(extent.collections[0].get_offsets()) == 3
    series, rain = figures["insitu_series_1"].axes
    lines = {line.get_label(): line for line in series.lines}
    days = station("A", 0.05).days
    # in the station's units it has the station's mean and spread
    known = days["station"].notna()
    mapped = lines["model"].get_ydata()[known]
    assert mapped.mean() == pytest.approx(days["station"].mean())
    assert mapped.std() == pytest.approx(days["station"].std(ddof=0))
    assert rain.get_ylim()[0] > rain.get_ylim()[1]  # from above


def test_figures_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(ValueError, match="needs at least one station"):
        station_scatter([], "t")
    with pytest.raises(ValueError, match="needs the columns"):
        station_series(pd.DataFrame({"model": [1.0]}), "t")
    with pytest.raises(ValueError, match="needs the columns"):
        station_correlation(pd.DataFrame({"r": [1.0]}), pd.DataFrame(), "t")


def test_the_page_says_what_the_numbers_do_not_mean(scored: list[Scored], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlssm.evaluation.picture.as_png", lambda figure: b"png")
    page = render(ground_page(scored, ground_figures(scored, HOW), TOLD, HOW))
    for text in (
        "a bias against a station means nothing",
        "150 m",
        "A rule.",
        "outside &lt;here&gt;",
        "Scatter",
        "90%",
    ):
        assert text in page
