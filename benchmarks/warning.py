"""How well the warning layer finds wet steep ground on simulated watersheds, against rain alone, with forecasts.

    python benchmarks/warning.py [seeds, as 0-4 or 3] [Hydra overrides]

The closed form is trained on three seasons of each watershed; two further ones are the test. An event is a day on
which more than half of the steep ground (the steepest quarter) is wetter than on nine of ten training days, by the
simulated truth at the end of the day. An alarm is a day on which more than half of the steep ground has a level, by the
product's own rule. The thresholds of the layer, of wetness alone and of rain alone (and its days) are those of
the best critical success index on the training seasons, on the day itself.

A warning of day d that is issued k days before knows the weather until d - k; the rain of the days after is a made-up
forecast: each wet day's rain times a lognormal factor of mean 1 (standard deviation of its logarithm 0.6), 15 % of wet
days missed, and 5 % of dry days given the rain of some wet day. It is no weather model's.

It prints POD, FAR, CSI with 90 % intervals (bootstrap over months of all watersheds) and the lead of detected onsets.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlssm.config import SimulationConfig, TrainConfig, WarningConfig
from mlssm.data.assemble import Experiment, assemble
from mlssm.evaluation.held_out import out_of_fold_maps
from mlssm.grid import Floats
from mlssm.inference.prefit import span_map
from mlssm.jobs.area import open_area
from mlssm.mapping.products.levels import levels
from mlssm.origins.simulation.scene import build_scene, daily_moisture
from mlssm.patches.dates import seasons
from mlssm.response.driver_maps import Drivers
from mlssm.response.forecaster import ExtentForecaster, Forecaster, forecast
from mlssm.retrieval.multilook import block_mean
from mlssm.uncertainty.calibration import Calibration
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import VARIABLES
from response import compose_config

SETTINGS = (
    *("model=response", "response.residual=none", "split.inner=seasons", "datamodule.simulation.size=90"),
    *("datamodule.simulation.seasons=5", "split.test=[2023,2024]"),
)
LEADS = (0, 1, 2)
MONTHS = (10, 11, 12, 1, 2, 3, 4)  # in which it rains
WETTEST, MOST_OF_IT, STEEPEST = 0.9, 0.5, 0.75
SSM, PROBABILITY, RAIN_MM, RAIN_DAYS = (
    (0.6, 0.7, 0.8, 0.9),
    (0.1, 0.3, 0.5, 0.7, 0.9),
    (0, 2, 5, 10, 20, 30, 50, 80, 120),
    (1, 3, 7, 15, 30),
)
TRIGGER_DAYS = 3  # of rain in the layer
SPIN_UP = 250  # days of weather before a forecast, after which hardly anything of what was earlier is left
DRAWS, ENDS = 1000, (5, 95)
RAIN, WET_MM = VARIABLES.index("precipitation"), 1.0
Days = npt.NDArray[np.datetime64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Known:
    """What is known of each day when a warning is issued some days before.

    Attributes:
        probability: P(SSM > each of `SSM`) of steep pixels, [day, threshold, pixel].
        rain: Sum over each of `RAIN_DAYS`, mm, [day, sum, pixel].
    """

    probability: Floats
    rain: Floats


@dataclass(frozen=True)
class Watershed:
    """A simulated watershed's days in the rainy months.

    Attributes:
        days: They.
        training: Which of them are of training seasons.
        events: Which are events.
        known: By lead; of training days only what is known on the day itself, and NaN before.
    """

    days: Days
    training: Booleans
    events: Booleans
    known: tuple[Known, ...]


class Issued:
    """Makes what a warning knows."""

    def __init__(self, experiment: Experiment, steep: Booleans, seed: int) -> None:
        """Calibrate on training seasons held out in turn."""
        assert experiment.prefit is not None
        self.field, working = experiment.field, experiment.stack.working
        self.drivers = Drivers(self.field)
        forecaster: Forecaster = experiment.prefit.forecaster
        self.extent: ExtentForecaster = forecaster.on(working.grid, working.extents)[0]
        self.calibration = Calibration.fit(out_of_fold_maps(experiment), [], "seasons held out in turn")
        self.span, self.steep = span_map(experiment.retrieval.extents[0]), steep
        self.forecast_rain = self._made_up(np.random.default_rng([seed, 14]))

    def _made_up(self, rng: np.random.Generator) -> Floats:
        """A forecast of each day's rain at the stations; its errors are those of the whole extent."""
        rain = self.field.weather.values[:, :, RAIN]
        total = np.nan_to_num(np.nanmean(np.where(np.isnan(rain).all(axis=1)[:, None], 0, rain), axis=1))
        wet, draw = total >= WET_MM, rng.random(len(total))
        factor = rng.lognormal(-0.18, 0.6, len(total))  # of mean 1
        other = rain[rng.choice(np.flatnonzero(wet), len(total))]
        found = np.where((wet & (draw < 0.15))[:, None], 0, rain * factor[:, None])
        return np.where((~wet & (draw < 0.05))[:, None], other, found)

    def known(self, days: Days, wanted: Booleans, lead: int) -> Known:
        """Of each day that is wanted, so many days before it."""
        found = {day: self._of(day, lead) for day in days[wanted]}
        nothing = [np.full_like(part, np.nan) for part in next(iter(found.values()))]
        return Known(*(np.stack(part) for part in zip(*(found.get(day, nothing) for day in days), strict=True)))

    def _of(self, day: np.datetime64, lead: int) -> tuple[Floats, Floats]:
        field, drivers = self.field, self.drivers
        if lead:
            weather = self.field.weather
            last = int((day - weather.days[0]).astype(int))
            start = max(last + 1 - SPIN_UP, 0)
            values = weather.values[start : last + 1].copy()
            values[-lead:, :, RAIN] = self.forecast_rain[last + 1 - lead : last + 1]
            told = dataclasses.replace(weather, days=weather.days[start : last + 1], values=values)
            field = dataclasses.replace(self.field, weather=told)
            drivers = Drivers(field)
        mean, driver = forecast(self.extent, drivers, 0, day)
        leverage = np.full(mean.shape, np.nan) if self.extent.leverage is None else self.extent.leverage.at(driver)
        deviation = self.calibration.scale.deviation(mean, self.span, np.broadcast_to(leverage, mean.shape), None)
        above = [self.calibration.exceedance(mean, deviation, each)[self.steep] for each in SSM]
        sums = [_rain(field, day, number)[self.steep] for number in RAIN_DAYS]
        return np.stack(above), np.stack(sums)


def _rain(field: WeatherField, day: np.datetime64, days: int) -> Floats:
    window = field.windows(np.array([day]), days, "aggregate")[0]
    everything = slice(0, field.places[0].shape[0]), slice(0, field.places[0].shape[1])
    return np.asarray(field.at_pixels(window, 0, *everything, ("precipitation",))[0, 0], float)


def watershed(config: TrainConfig) -> Watershed:
    """Simulate, train, and issue."""
    simulation = config.datamodule.simulation
    assert simulation is not None
    experiment = assemble(open_area(config.datamodule, config.on_bad_file), config)
    slope = _on_working(experiment, experiment.cube.static("slope", experiment.cube.grid.full))
    labelled = experiment.retrieval.extents[0].labelled & np.isfinite(slope)
    steep = labelled & (slope >= np.quantile(slope[labelled], STEEPEST))
    days, truth = _truth(experiment, simulation, steep)
    held_out = np.isin(seasons(days, config.split.start_month), config.split.test or ())
    limit = np.quantile(truth[~held_out], WETTEST, axis=0)
    events = (truth > limit).mean(axis=1) > MOST_OF_IT
    issued = Issued(experiment, steep, simulation.seed)
    known = tuple(issued.known(days, held_out | (lead == 0), lead) for lead in LEADS)
    return Watershed(days, ~held_out, events, known)


def _on_working(experiment: Experiment, values: npt.NDArray[np.float32]) -> Floats:
    working = experiment.stack.working
    window = working.extents[0].refine(working.factor)
    return block_mean(values[window.slices], working.factor, 0.5)[0].astype(float)


def _truth(experiment: Experiment, simulation: SimulationConfig, steep: Booleans) -> tuple[Days, Floats]:
    """The rainy months' days that have all weather before them, and the true moisture of steep pixels."""
    days, values, first = [], [], experiment.field.weather.days[0] + max(RAIN_DAYS)
    for date, moisture in daily_moisture(build_scene(simulation)):
        if date.month in MONTHS and first <= np.datetime64(date) <= experiment.field.weather.days[-1]:
            days.append(np.datetime64(date))
            values.append(_on_working(experiment, moisture.astype(np.float32))[steep])
    return np.array(days), np.array(values)


Alarm = Callable[[Known], Booleans]


def layer(ssm: int, probability: float, rain: float) -> Alarm:
    """The product's own rule, of one level; steep ground is chosen already."""
    rules = WarningConfig(
        ssm=SSM[ssm], probability=(probability,) * 3, slope_deg=(0, 0, 0), rain_mm=(rain,) * 3, rain_days=TRIGGER_DAYS
    )

    def alarm(known: Known) -> Booleans:
        parts = known.probability[:, ssm], np.zeros_like(known.probability[:, ssm])
        found = levels(rules, *(p.astype(np.float32) for p in (*parts, known.rain[:, RAIN_DAYS.index(TRIGGER_DAYS)])))
        return np.asarray((found == 3).mean(axis=1) > MOST_OF_IT)

    return alarm


def rain_alone(days: int, mm: float) -> Alarm:
    """An alarm from so much rain on."""
    return lambda known: np.asarray((known.rain[:, days] >= mm).mean(axis=1) > MOST_OF_IT)


def candidates() -> Iterator[tuple[str, str, Alarm]]:
    """Kinds of alarms with their thresholds, in words."""
    for ssm, probability in itertools.product(range(len(SSM)), PROBABILITY):
        for rain in RAIN_MM:
            text = f"P(SSM > {SSM[ssm]:g}) > {probability:g}"
            if rain:
                yield "warning layer", f"{text}, {rain} mm in {TRIGGER_DAYS} days", layer(ssm, probability, rain)
            else:
                yield "wetness alone", text, layer(ssm, probability, rain)
    for days, mm in itertools.product(range(len(RAIN_DAYS)), RAIN_MM[1:]):
        yield "rain alone", f"{mm} mm in {RAIN_DAYS[days]} days", rain_alone(days, mm)


def counts(events: Booleans, alarms: Booleans) -> Floats:
    """Hits, misses and false alarms."""
    return np.array([(events & alarms).sum(), (events & ~alarms).sum(), (~events & alarms).sum()], float)


def scores(table: Floats) -> Floats:
    """POD, FAR and CSI of hits, misses and false alarms [..., 3]; NaN where there is nothing to divide by."""
    hits, misses, false = np.moveaxis(table, -1, 0)
    with np.errstate(invalid="ignore"):
        return np.stack([hits / (hits + misses), false / (hits + false), hits / (hits + misses + false)], axis=-1)


def chosen(found: Sequence[Watershed]) -> dict[str, tuple[str, Alarm]]:
    """The best of each kind on the training seasons of all watersheds."""
    best: dict[str, tuple[float, str, Alarm]] = {}
    for kind, text, alarm in candidates():
        table = np.sum([counts(w.events[w.training], alarm(w.known[0])[w.training]) for w in found], axis=0)
        csi = float(np.nan_to_num(scores(table)[2]))
        if kind not in best or csi > best[kind][0]:
            best[kind] = csi, text, alarm
    return {kind: (text, alarm) for kind, (_, text, alarm) in best.items()}


def by_month(found: Sequence[Watershed], alarm: Alarm, lead: int) -> Floats:
    """Hits, misses and false alarms of each month of the test seasons [month, 3]."""
    rows = []
    for each in found:
        test = ~each.training
        months = each.days[test].astype("datetime64[M]")
        alarms, events = alarm(each.known[lead])[test], each.events[test]
        rows += [counts(events[months == month], alarms[months == month]) for month in np.unique(months)]
    return np.array(rows)


def onset_lead(found: Sequence[Watershed], alarm: Alarm) -> tuple[float, int]:
    """Mean days, over onsets warned of at all, since when each issue warned of the onset; and how many there are."""
    leads, onsets = [], 0
    for each in found:
        follows = np.diff(each.days, prepend=each.days[0] - 2) == np.timedelta64(1, "D")
        start = each.events & ~(np.roll(each.events, 1) & follows) & ~each.training
        issued = np.stack([alarm(known)[start] for known in each.known])
        onsets += int(start.sum())
        for column in issued.T:
            if column[0]:
                leads.append(int(np.argmin(column)) - 1 if not column.all() else LEADS[-1])
    return (float(np.mean(leads)) if leads else math.nan), onsets


def main(seeds: str = "0-4", *overrides: str) -> None:
    """Print the table."""
    logging.basicConfig(level=logging.ERROR)
    first, _, last = seeds.partition("-")
    found = []
    for seed in range(int(first), int(last or first) + 1):
        with tempfile.TemporaryDirectory() as folder:
            place = f"datamodule.root={Path(folder) / 'area'}", f"datamodule.cubes={Path(folder) / 'cubes'}"
            found.append(watershed(compose_config(f"datamodule.simulation.seed={seed}", *SETTINGS, *place, *overrides)))
        print(f"seed {seed}: {found[-1].events[~found[-1].training].sum()} event days in the test seasons", flush=True)
    _table(found)


def _table(found: Sequence[Watershed]) -> None:
    picked = chosen(found)
    print("| alarm | issued | POD | FAR | CSI |\n| --- | --- | --- | --- | --- |")
    tables = {}
    for kind, (text, alarm) in picked.items():
        for lead in LEADS:
            tables[kind, lead] = rows = by_month(found, alarm, lead)
            weights = np.random.default_rng(0).multinomial(len(rows), [1 / len(rows)] * len(rows), DRAWS)
            low, high = np.nanpercentile(scores(weights @ rows), ENDS, axis=0)
            values = zip(scores(rows.sum(axis=0)), low, high, strict=True)
            cells = " | ".join(f"{value:.2f} ({a:.2f} to {b:.2f})" for value, a, b in values)
            print(f"| {kind}: {text} | {lead} days before | {cells} |")
    for other in ("rain alone", "wetness alone"):
        for lead in LEADS:
            ours, theirs = tables["warning layer", lead], tables[other, lead]
            weights = np.random.default_rng(0).multinomial(len(ours), [1 / len(ours)] * len(ours), DRAWS)
            difference = scores(weights @ ours)[:, 2] - scores(weights @ theirs)[:, 2]
            low, high = np.nanpercentile(difference, ENDS)
            best = scores(ours.sum(axis=0))[2] - scores(theirs.sum(axis=0))[2]
            print(f"CSI, warning layer less {other}, {lead} days before: {best:+.2f} ({low:+.2f} to {high:+.2f})")
    for kind, (_, alarm) in picked.items():
        lead, onsets = onset_lead(found, alarm)
        print(f"{kind}: mean lead of detected onsets {lead:.1f} days (at most {LEADS[-1]}), {onsets} onsets")


if __name__ == "__main__":
    main(*sys.argv[1:])
