"""The closed-form response on real input, each season held out in turn: R2 and RMSE of the pooled held-out pixels.

    python benchmarks/response.py ROOT [Hydra overrides]

ROOT is a folder of files as agencies deliver them, such as ../shared/santa_barbara. The protocol is that of the
antecedent-rain yardstick: blocks begin at each extent's corner, no pixel is masked, rain is one station's (the one
whose name ends as `--station` says; "all": the mean of all), missing days are dry, and every choice is made inside the
training seasons. `--product` takes the product's grid and masks instead, and interpolates between the stations.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlssm.config import TrainConfig, parse
from mlssm.cube import Cube
from mlssm.data.layers import extent_places
from mlssm.grid import Floats, Window
from mlssm.jobs.area import open_area
from mlssm.patches.dates import seasons as seasons_of
from mlssm.response.bank import Driven
from mlssm.response.base import Booleans
from mlssm.response.closed_form import ClosedForm
from mlssm.response.driver import Forcing, index_driver
from mlssm.response.driver_maps import Drivers
from mlssm.response.extents import Backscatter, closed_form_extents
from mlssm.response.fitted import Dates, Extent, Settings
from mlssm.response.folds import Retrieve, Retrieved
from mlssm.retrieval.labels import relative_backscatter
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.multilook import multilook_db, window_pixels
from mlssm.retrieval.references import fit_references
from mlssm.retrieval.stack import load_stack
from mlssm.weather.field import WeatherField
from mlssm.weather.stations import StationWeather

CONF = Path(__file__).resolve().parents[1] / "conf"
STATION, SCALES_M, START_MONTH = "53152", (0, 150, 300), 9
# slope 0.7 of the extent's and 0.3 of the pixel's, dates independent; "published": before anything was chosen
YARDSTICK = Settings(correlation=0.0, own_shares=(0.3,), penalties=(), alike=np.inf)
PUBLISHED = Settings(correlation=0.5, own_shares=(0.4,), penalties=(0.5,), alike=np.inf)
MODELS = {
    "yardstick": YARDSTICK,
    "published base": dataclasses.replace(PUBLISHED, penalties=()),
    "published base + correction": PUBLISHED,
    "base": Settings(penalties=()),
    "base + correction": Settings(),
    "the same, age alone": Settings(alike=np.inf),
}


@dataclass(frozen=True)
class Score:
    """R2 and RMSE of pooled pixels."""

    r2: float
    rmse: float

    def __str__(self) -> str:
        """As the tables print it."""
        return f"{self.r2:6.3f} / {self.rmse:.3f}"

    @classmethod
    def of(cls, prediction: Floats, target: Floats) -> Score:
        """Over the pixels that have a label."""
        known = np.isfinite(target)
        error, total = (target - prediction)[known], target[known] - target[known].mean()
        return cls(float(1 - error @ error / (total @ total)), float(np.sqrt(np.mean(error**2))))


def compose_config(*overrides: str) -> TrainConfig:
    """The shipped configuration, with overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("train", list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return parse(TrainConfig, {str(key): value for key, value in values.items()})


def only(weather: StationWeather, station: str) -> tuple[StationWeather, list[int]]:
    """The record of one station, and its position; of all, if `station` is "all"."""
    kept = [i for i, name in enumerate(weather.ids) if station == "all" or name.endswith(station)]
    fields = {name: getattr(weather, name)[kept] for name in ("longitude", "latitude", "elevation_m")}
    ids = tuple(weather.ids[i] for i in kept)
    return dataclasses.replace(weather, ids=ids, values=weather.values[:, kept], **fields), kept


def blocks_retrieve(cube: Cube, extent: Window, metres: float) -> Retrieve:
    """Labels of blocks that begin at an extent's corner, by 5th and 95th percentiles, without any mask."""
    pixels = window_pixels(metres, cube.grid.pixel)

    def read(polarisation: str) -> Floats:
        images = (cube.backscatter(image, polarisation, extent) for image in range(len(cube.times)))
        return np.stack([multilook_db(image, pixels, "block", 1.0)[0] for image in images]).astype(float)

    sigma, cross = read("VV"), read("VH")

    def retrieve(training: Booleans) -> Retrieved:
        known = sigma[training]
        found = fit_references(known, 5, 95, 2)
        relative = relative_backscatter(sigma, found.dry, found.wet)
        ratio = (cross[training] - known).mean(axis=0)
        return Retrieved(relative, found.sensitivity, found.mean, known.std(axis=0), ratio)

    return retrieve


def block_extents(cube: Cube, metres: float, station: str) -> list[Extent]:
    """All extents in the yardstick's protocol; the driver is a station's."""
    weather, kept = only(cube.weather, station)
    forcing = Forcing.of(weather, cube.station_xy[kept], 8, 2.0)
    driver = index_driver(forcing).at(forcing.positions(cube.window_ends), np.full((1, len(kept)), 1 / len(kept)))
    pixel = metres or cube.grid.pixel
    driven = Driven(driver[:, :, None])
    return [Extent(blocks_retrieve(cube, extent, metres), driven, pixel) for extent in cube.extents]


def product_extents(cube: Cube, config: TrainConfig, metres: float, station: str) -> list[Extent]:
    """All extents as the product sees them: its grid, its masks, the driver interpolated to pixels."""
    retrieval = config.retrieval.model_copy(update={"multilook_m": metres})
    stack = load_stack(cube, retrieval)
    places = extent_places(cube, stack.working)
    every = WeatherField(cube.weather, cube.station_xy, places, config.weather)
    masks = frozen_or_snowy(every, cube.local_days, retrieval)
    weather, kept = only(cube.weather, station)
    field = WeatherField(weather, cube.station_xy[kept], places, config.weather)
    none = np.zeros(len(cube.times), bool)  # few dates: the driver is fixed, whichever season is held out
    return closed_form_extents(
        Backscatter.of(cube, stack, masks, retrieval), Drivers(field), none, dates_of(cube).seasons
    )


def dates_of(cube: Cube) -> Dates:
    """The cube's dates and seasons."""
    return Dates(cube.local_days, seasons_of(cube.local_days, START_MONTH))


def held_out(extents: Sequence[Extent], dates: Dates, settings: Settings) -> dict[str, Score]:
    """Each season held out in turn: scores of the pooled held-out pixels, without and with earlier images."""
    targets, plain, now = [], [], []
    for season in np.unique(dates.seasons):
        test = dates.seasons == season
        form = ClosedForm.fit(extents, dates, ~test, settings)
        for number in range(len(extents)):
            forecasts = form.forecasts(number)
            targets.append(form.labels(number)[test].ravel())
            plain.append(forecasts[test].ravel())
            now.append(form.nowcasts(number, forecasts)[test].ravel())
    target = np.concatenate(targets)
    return {"forecast": Score.of(np.concatenate(plain), target), "nowcast": Score.of(np.concatenate(now), target)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--station", default=STATION)
    parser.add_argument("--product", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="  %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        places = f"datamodule.root={options.root}", f"datamodule.cubes={folder}"
        config = compose_config("datamodule=opera_rtc", *places, *options.overrides)
        cube = open_area(config.datamodule, config.on_bad_file)
        for metres in SCALES_M:
            if options.product:
                extents = product_extents(cube, config, metres, options.station)
            else:
                extents = block_extents(cube, metres, options.station)
            print(f"{metres or cube.grid.pixel:g} m{'':26} forecast R2/RMSE  nowcast R2/RMSE")
            for name, settings in MODELS.items():
                start = time.perf_counter()
                scores = held_out(extents, dates_of(cube), settings)
                seconds = time.perf_counter() - start
                print(f"  {name:28} {scores['forecast']}   {scores['nowcast']}   {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
