"""From a trained run to maps: what `predict.py` does."""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import track
from torch import Tensor

from mlssm import __version__, bundle
from mlssm.area import open_area
from mlssm.config import DatamoduleConfig, PredictConfig, TrainConfig, parse
from mlssm.cube import Cube
from mlssm.data.assemble import all_moments, has_weather
from mlssm.data.features import AVAILABLE, FeatureSource, Moment
from mlssm.data.layers import AreaLayers, area_layers, area_places
from mlssm.data.scaling import static_channels
from mlssm.errors import DataError, RunError
from mlssm.grid import Window
from mlssm.mapping.area import map_area
from mlssm.mapping.days import parse_days
from mlssm.mapping.geotiff import write_cog
from mlssm.mapping.preview import MapPanel, write_preview
from mlssm.models.convlstm import ConvLSTM
from mlssm.retrieval.masks import DateMasks, frozen_or_snowy
from mlssm.retrieval.working_grid import WorkingGrid, working_grid
from mlssm.tracking.find import download, find_run
from mlssm.tracking.run import BUNDLE_FOLDER
from mlssm.tracking.store import open_store
from mlssm.training.job import build_network
from mlssm.weather.field import WeatherField

log = logging.getLogger(__name__)

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Mapper:
    """All that maps need, whatever the date.

    Attributes:
        run_id: The run that the model comes from.
        config: Its configuration.
        cube: The area to map.
        working: Its working grid.
        features: Makes the model's inputs.
        network: The trained network, on its device.
        evening: Whether a map shows the end of its day; else the end of the day before.
    """

    run_id: str
    config: TrainConfig
    cube: Cube
    working: WorkingGrid
    features: FeatureSource
    network: ConvLSTM
    evening: bool

    def moments(self, days: Days) -> list[Moment]:
        """Weather and NDVI of each day."""
        ends = days if self.evening else days - np.timedelta64(1, "D")
        return all_moments(self.cube, self.features.field, ends, days, self.config)


def predict(config: PredictConfig) -> list[Path]:
    """Map SSM of each day: one Cloud-Optimised GeoTIFF and one PNG preview a day.

    Returns:
        The GeoTIFFs.

    Raises:
        MlssmError: The run, the model or the area do not allow it; the message says what to do.
    """
    days = parse_days(config.dates)
    mapper = load_mapper(config)
    moments = mapper.moments(days)
    known = [has_weather(moment, mapper.config) for moment in moments]
    _check_weather(days, known, mapper)
    masks = frozen_or_snowy(mapper.features.field, days, mapper.config.retrieval)
    written = []
    for position in track(np.flatnonzero(known), "maps", transient=True):
        path = config.output / f"ssm_{days[position].astype(dt.date):%Y%m%d}.tif"
        _map_day(mapper, config, days[position], moments[position], masks, int(position), path)
        log.info("wrote %s", path)
        written.append(path)
    return written


def load_mapper(config: PredictConfig) -> Mapper:
    """Load a run's model and open the area to map.

    Raises:
        RunError: There is no such run or model, or it does not fit the area.
        DataError: The area's files are missing or bad.
    """
    store = open_store(config.tracking)
    run = find_run(store, config.run)
    with tempfile.TemporaryDirectory() as folder:
        model, weights = bundle.load(download(store, run.run_id, BUNDLE_FOLDER, Path(folder)))
    trained = parse(TrainConfig, model.config)
    cube = open_area(_area_config(trained, config), config.on_bad_file)
    working = working_grid(cube, trained.retrieval)
    if not np.isclose(working.grid.pixel, model.pixel_m):
        raise RunError(
            f"the model was trained on {model.pixel_m:g} m pixels, the area has {working.grid.pixel:g} m; "
            "set datamodule.grid.resolution_m in training, or map an area of the same resolution"
        )
    field = WeatherField(cube.weather, cube.station_xy, area_places(cube, working), trained.weather)
    layers = area_layers(cube, working, trained.features.static)
    _check_channels(model.features, layers, trained)
    network = _network(model, weights, trained, config.accelerator)
    features = FeatureSource(field, layers, model.features)
    return Mapper(run.run_id, trained, cube, working, features, network, model.pass_is_evening)


def _area_config(trained: TrainConfig, config: PredictConfig) -> DatamoduleConfig:
    if config.root is None:
        return trained.datamodule
    return trained.datamodule.model_copy(update={"root": config.root, "name": "opera_rtc", "simulation": None})


def _check_channels(spec: bundle.FeatureSpec, layers: tuple[AreaLayers, ...], trained: TrainConfig) -> None:
    """Refuse an area whose sources or soil classes are not those of the model."""

    @dataclass(frozen=True)
    class Names:
        dynamic: tuple[str, ...]
        static: tuple[str, ...]

    wanted = Names(*(tuple(n for n in names if not n.endswith(AVAILABLE)) for names in (spec.dynamic, spec.static)))
    bundle.check_fit(wanted, Names(tuple(trained.features.dynamic), tuple(static_channels(layers, trained.features))))


def _network(model: bundle.Bundle, weights: Mapping[str, Tensor], trained: TrainConfig, accelerator: str) -> ConvLSTM:
    network = build_network(model.features, trained)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RunError(f"the bundle's weights are not those of its configuration: {reason}") from None
    cuda = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
    return network.to("cuda" if cuda else "cpu").eval()


def _check_weather(days: Days, known: list[bool], mapper: Mapper) -> None:
    weather = mapper.cube.weather.days
    if not any(known):
        raise DataError(
            f"none of the {len(days)} days has weather in its window of {mapper.config.model.lag} days; "
            f"the stations have {weather[0]} to {weather[-1]}"
        )
    missing = [str(day) for day, there in zip(days, known, strict=True) if not there]
    if missing:
        log.warning("%d days without weather in their window are left out: %s", len(missing), ", ".join(missing[:10]))


def _map_day(
    mapper: Mapper, config: PredictConfig, day: np.datetime64, moment: Moment, masks: DateMasks, time: int, path: Path
) -> None:
    blocks, panels = [], []
    grid, factor = mapper.cube.grid, mapper.working.factor
    everything = slice(None)
    for area, window in enumerate(mapper.working.areas):
        ssm = map_area(mapper.network, mapper.features, area, moment, config.tile, config.overlap)
        ssm = np.where(masks.of(area, np.array([time]), everything, everything)[0], np.float32(np.nan), ssm)
        panels.append(MapPanel(f"area {area + 1}", ssm, mapper.working.grid.crop(window)))
        blocks.append(onto_grid(ssm, window, factor, mapper.cube.areas[area]))
    date = day.astype(dt.date)
    tags = _tags(mapper, date)
    write_cog(path, blocks, grid, tags, f"surface soil moisture, relative, {date}")
    write_preview(path.with_suffix(".png"), panels, date, "Surface soil moisture")


def onto_grid(
    ssm: npt.NDArray[np.float32], window: Window, factor: int, area: Window
) -> tuple[Window, npt.NDArray[np.float32]]:
    """A map on the working grid brought onto the area's own pixels: each block's value stands on all its pixels.

    Args:
        ssm: [height, width] of `window`.
        window: On the working grid.
        factor: Area pixels along a working pixel.
        area: The area on its own grid; what reaches past it is cut.

    Returns:
        A window of the area's grid and its values.
    """
    fine = window.refine(factor)
    values = np.repeat(np.repeat(ssm, factor, axis=0), factor, axis=1)
    row, col = max(fine.row, area.row), max(fine.col, area.col)
    bottom = min(fine.row + fine.height, area.row + area.height)
    right = min(fine.col + fine.width, area.col + area.width)
    common = Window(row, col, bottom - row, right - col)
    return common, np.ascontiguousarray(values[common.within(fine).slices])


def _tags(mapper: Mapper, date: dt.date) -> dict[str, str]:
    retrieval = mapper.config.retrieval
    return {
        "date": date.isoformat(),
        "time_zone": mapper.cube.manifest.time_zone,
        "state_at": "end of the day" if mapper.evening else "end of the day before",
        "run_id": mapper.run_id,
        "model": "ConvLSTM",
        "lag_days": str(mapper.config.model.lag),
        "support_m": f"{mapper.working.window_pixels * mapper.cube.grid.pixel:g} ({retrieval.multilook})",
        "software": f"mlssm {__version__}",
    }
