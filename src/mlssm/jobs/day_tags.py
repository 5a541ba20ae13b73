"""What a map says of itself."""

from __future__ import annotations

import numpy as np

from mlssm import __version__
from mlssm.config import PredictConfig
from mlssm.inference.flags import LEGEND
from mlssm.inference.mapper import window_end
from mlssm.inference.opened import Opened
from mlssm.jobs.day_map import bridged_in, days_ahead, is_forecast
from mlssm.jobs.day_totals import DayTotals
from mlssm.weather.bridging import named_days

DAY = np.timedelta64(1, "D")
NO_IMAGE = "no earlier image"


def day_tags(opened: Opened, config: PredictConfig, day: np.datetime64, totals: DayTotals) -> dict[str, str]:
    """The tags of a day's map."""
    model, working = opened.bundle, opened.stack.working
    return {
        "date": str(day),
        "time_zone": opened.cube.manifest.time_zone,
        "state_at": "end of the day" if model.knows_the_day else "end of the day before",
        "run_id": opened.run_id,
        "model": model.model.title,
        "lag_days": str(model.window.lag),
        "state": "carried" if opened.carried else "window",
        "weather_since": str(opened.first_day(day)),
        "support_m": f"{working.window_pixels * opened.cube.grid.pixel:g} ({model.images.multilook})",
        **_ages(opened, day),
        **_bridged(opened, day),
        "software": f"mlssm {__version__}",
        **_form_tags(opened, totals),
        **_certainty_tags(opened, config, totals),
    }


def _ages(opened: Opened, day: np.datetime64) -> dict[str, str]:
    """Whether it is a forecast, and how old what it rests on is: image, NDVI image and observed weather, days."""
    cube = opened.cube
    observed = cube.weather.days[~cube.forecast_days]
    tags = {
        "forecast": "yes" if is_forecast(opened, day) or days_ahead(opened, day) else "no",
        "last_image": str(cube.local_days[-1]),
        "image_age_days": _age(day, cube.local_days, inclusive=True),
        "weather_until": str(cube.weather.days[-1]),
        "observed_weather_age_days": _age(window_end(opened.bundle, day), observed, inclusive=True),
        "forecast_weather_days": str(days_ahead(opened, day)),
    }
    if "ndvi" in opened.features.spec.static:
        tags["ndvi_age_days"] = _age(day, cube.ndvi_days, inclusive=False)
    return tags


def _bridged(opened: Opened, day: np.datetime64) -> dict[str, str]:
    gaps = bridged_in(opened, day)
    return {"weather_bridged": named_days(gaps)} if gaps else {}


def _age(day: np.datetime64, days: np.ndarray, *, inclusive: bool) -> str:
    """Days since the latest of `days` before a day, or on it."""
    earlier = days[days <= day] if inclusive else days[days < day]
    return str((day - earlier.max()).astype(int)) if earlier.size else NO_IMAGE


def _form_tags(opened: Opened, totals: DayTotals) -> dict[str, str]:
    """What the map knows of its pixels, and how old the latest image is that it has seen."""
    form = opened.form
    if form is None:
        return {}
    known = sum(not extent.is_population for extent in form.extents)
    elsewhere = "" if known == len(form.extents) else "; elsewhere the mean extent's response"
    memory = f"in {known} of {len(form.extents)} extents{elsewhere}" if known else "none: the mean extent's response"
    tags = {"pixel_memory": memory}
    return {**tags, "kind": "nowcast", "previous_image_age_days": totals.age} if form.nowcast else tags


def _certainty_tags(opened: Opened, config: PredictConfig, totals: DayTotals) -> dict[str, str]:
    """What the intervals rest on, and the map's means."""
    certainty = opened.certainty
    tags = {"ssm_mean": f"{totals.mean('ssm'):.3f}", "flags": LEGEND}
    if certainty is not None and certainty.applicability is not None:
        tags["share_outside_training"] = f"{totals.share_outside:.3f}"
    if certainty is None or certainty.calibration is None:
        return tags
    calibration = certainty.calibration
    seasons = ", ".join(str(season) for season in calibration.seasons)
    width = totals.mean("upper") - totals.mean("lower")
    tags |= {
        "interval": f"{config.level:g}, {config.intervals}",
        "calibrated_on": f"{calibration.dates} dates of the seasons {seasons}: {calibration.source}",
        "interval_mean_width": f"{width:.3f}",
    }
    return tags | {f"mean_{name}": f"{totals.mean(name):.3f}" for name in totals.sums if name.startswith("probability")}
