from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlssm.config import PredictConfig, parse
from mlssm.errors import ConfigError, DataError, RunError
from mlssm.grid import Window
from mlssm.jobs.warning import RainOfDay, check_warning
from mlssm.weather.stations import VARIABLES

RULES = "products.warning={ssm: 0.8, probability: [0.3, 0.5, 0.7], slope_deg: [15, 25, 35], rain_mm: [10, 25, 50], "
RULES += "rain_days: 3}"
RAIN = VARIABLES.index("precipitation")


@pytest.fixture(scope="module")
def opened(watershed) -> Any:
    """What a mapper knows of rain, on blocks of three pixels."""
    experiment = watershed.experiment("model.hidden=[4]", "retrieval.multilook_m=90", "patches.size=10")
    bundle = SimpleNamespace(knows_the_day=True)
    return SimpleNamespace(
        cube=experiment.cube, stack=experiment.stack, field=experiment.field, bundle=bundle, certainty=None
    )


def wettest(opened) -> int:
    """The day with most rain that all stations have with the two days before it."""
    known = np.isfinite(opened.cube.weather.values[:, :, RAIN]).all(axis=1)
    total = np.where(known, np.nansum(opened.cube.weather.values[:, :, RAIN], axis=1), 0)
    total[2:] *= known[1:-1] & known[:-2]
    return int(total.argmax())


def test_rain_is_the_stations_sum_by_inverse_distance(opened, shepard) -> None:
    day = wettest(opened)
    weather, (window,) = opened.cube.weather, opened.cube.extents
    found = RainOfDay(opened, 3).on(str(weather.days[day]), 0, window)
    assert found.shape == window.shape
    total = weather.values[day - 2 : day + 1, :, RAIN].sum(axis=0)
    places = opened.field.places[0]
    stations = (*opened.cube.station_xy.T, weather.elevation_m)
    expected = shepard(
        total[None, :, None], ("precipitation",), stations, places.x[:3], places.y[:3], places.elevation[:3, :3]
    )[0, 0]
    factor = opened.stack.working.factor
    assert factor == 3
    np.testing.assert_allclose(found[:9, :9], expected.repeat(3, axis=0).repeat(3, axis=1), rtol=1e-5)
    part = Window(window.row + 7, window.col + 4, 11, 13)  # within blocks
    np.testing.assert_array_equal(
        RainOfDay(opened, 3).on(str(weather.days[day]), 0, part), found[part.within(window).slices]
    )


def test_a_model_of_mornings_counts_the_days_before(opened) -> None:
    day, (window,) = wettest(opened), opened.cube.extents
    evening = RainOfDay(opened, 2).on(str(opened.cube.weather.days[day]), 0, window)
    morning = SimpleNamespace(**{**vars(opened), "bundle": SimpleNamespace(knows_the_day=False)})
    later = RainOfDay(morning, 2).on(str(opened.cube.weather.days[day] + 1), 0, window)
    np.testing.assert_array_equal(later, evening)


def test_rain_beyond_the_record_is_not_known(opened) -> None:
    last, (window,) = opened.cube.weather.days[-1], opened.cube.extents
    assert np.isnan(RainOfDay(opened, 3).on(str(last + 1), 0, window)).all()


def test_a_warning_needs_its_probability(composed) -> None:
    def told(*more: str) -> PredictConfig:
        return parse(PredictConfig, composed("predict", "dates=2023-01-01", *more))

    assert told(RULES).products.warning is not None
    with pytest.raises(ConfigError, match=r"warning.ssm=0.8 is none of thresholds; set thresholds=\[0.6, 0.8\]"):
        told(RULES, "thresholds=[0.6]")
    with pytest.raises(ConfigError, match="intervals=none leaves them out"):
        told(RULES, "intervals=none")


def test_what_lacks_is_said_before_anything_is_mapped(opened, composed) -> None:
    config = parse(PredictConfig, composed("predict", "dates=2023-01-01", RULES))
    with pytest.raises(RunError, match=r"products.warning needs probabilities: the model keeps no calibration"):
        check_warning(opened, config)
    sure = SimpleNamespace(calibration=object())
    flat = SimpleNamespace(manifest=SimpleNamespace(features=("soil",)))
    check_warning(SimpleNamespace(certainty=sure, cube=opened.cube), config)
    with pytest.raises(DataError, match="the extent has no elevation; add a DEM"):
        check_warning(SimpleNamespace(certainty=sure, cube=flat), config)
