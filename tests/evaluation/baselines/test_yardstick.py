"""The antecedent precipitation yardstick against the table printed in the README of the real input."""

import csv
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.ndimage import uniform_filter

from mlssm.evaluation.baselines.antecedent_rain import RainResponse
from mlssm.evaluation.baselines.pixel_mean import PixelMean
from mlssm.evaluation.baselines.training import PixelLabels, wetness
from mlssm.grid import Floats
from mlssm.weather.windows import antecedent_precipitation_index

STATION = "USW00053152"
FIRST, LAST = dt.date(2021, 1, 1), dt.date(2025, 1, 31)
# blocks: (R2, RMSE) with each date held out, (R2, RMSE) with each season held out, R2 of the pixel's mean by season
PRINTED = {
    1: (("0.183", "0.283"), ("0.167", "0.300"), "0.029"),
    5: (("0.442", "0.233"), ("0.443", "0.243"), "0.061"),
    10: (("0.530", "0.215"), ("0.538", "0.219"), "0.048"),
}


@dataclass(frozen=True)
class Stack:
    power: Floats  # [extent, date, 100, 100], linear
    days: tuple[dt.date, ...]  # local
    api: Floats  # [date], mm


@dataclass(frozen=True)
class Pooled:
    target: Floats
    yardstick: Floats
    mean: Floats


@pytest.fixture(scope="module")
def stack(shared: Path) -> Stack:
    folder = shared / "santa_barbara"
    paths = sorted((folder / "sentinel1").glob("*_VV.tif"), key=lambda path: path.name.split("_")[3:5])
    bursts = sorted({path.name.split("_")[3] for path in paths})
    power = np.stack([[_read(path) for path in paths if burst in path.name] for burst in bursts])
    stamps = [path.name.split("_")[4][:8] for path in paths if bursts[0] in path.name]
    # 01:58 UTC is the evening before in Pacific time
    days = tuple(dt.datetime.strptime(stamp, "%Y%m%d").date() - dt.timedelta(days=1) for stamp in stamps)
    index = antecedent_precipitation_index(_rain(folder / "weather" / f"{STATION}.csv"))
    return Stack(power.astype(float), days, index[[(day - FIRST).days for day in days]])


def _read(path: Path) -> Floats:
    with rasterio.open(path) as source:
        values: Floats = source.read(1)
    return values


def _rain(path: Path) -> Floats:
    """Rain in mm of every day; the yardstick used the inches that the station publishes, before they were rounded."""
    rain = np.full((LAST - FIRST).days + 1, np.nan)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            day = (dt.date.fromisoformat(row["DATE"]) - FIRST).days
            if row["PRCP"] and 0 <= day < rain.size:
                inches = round(int(row["PRCP"]) / 254, 2)
                assert round(inches * 254) == int(row["PRCP"])  # so the published hundredth is recovered for sure
                rain[day] = inches * 25.4
    return rain


def _blocks(power: Floats, size: int) -> Floats:
    if size > 1:
        power = uniform_filter(power, size=(0, 0, size, size))[:, :, size // 2 :: size, size // 2 :: size]
    return 10 * np.log10(power)


def _held_out(stack: Stack, size: int, groups: list[int]) -> Pooled:
    parts = []
    for group in sorted(set(groups)):
        test = np.array(groups) == group
        for sigma in _blocks(stack.power, size):
            dry, wet = np.percentile(sigma[~test], [5, 95], axis=0)
            ssm = np.clip((sigma - dry) / (wet - dry), 0, 1)
            sums = PixelLabels.empty(ssm.shape[1:])
            for labels, api in zip(ssm[~test], stack.api[~test], strict=True):
                sums.add(labels, wetness(float(api)))
            yardstick = RainResponse.fit(sums, fallback=np.nan)
            (mean,) = PixelMean.fit([sums], fallback=np.nan).maps
            predicted = np.stack([yardstick.ssm(float(api)) for api in stack.api[test]])
            parts.append((ssm[test].ravel(), predicted.ravel(), np.broadcast_to(mean, predicted.shape).ravel()))
    return Pooled(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _r2(prediction: Floats, target: Floats) -> float:
    return float(1 - np.sum((target - prediction) ** 2) / np.sum((target - target.mean()) ** 2))


def _rmse(prediction: Floats, target: Floats) -> float:
    return float(np.sqrt(np.mean((target - prediction) ** 2)))


@pytest.mark.parametrize("size", PRINTED)
def test_the_table_by_date_comes_out_to_all_printed_decimals(stack: Stack, size: int) -> None:
    pooled = _held_out(stack, size, list(range(len(stack.days))))
    scores = _r2(pooled.yardstick, pooled.target), _rmse(pooled.yardstick, pooled.target)
    assert tuple(f"{score:.3f}" for score in scores) == PRINTED[size][0]


@pytest.mark.parametrize("size", PRINTED)
def test_the_table_by_season_comes_out_to_all_printed_decimals(stack: Stack, size: int) -> None:
    seasons = [day.year - (day.month < 9) for day in stack.days]
    pooled = _held_out(stack, size, seasons)
    scores = _r2(pooled.yardstick, pooled.target), _rmse(pooled.yardstick, pooled.target)
    assert tuple(f"{score:.3f}" for score in scores) == PRINTED[size][1]
    assert f"{_r2(pooled.mean, pooled.target):.3f}" == PRINTED[size][2]
