"""A trained run, opened on the area that is to be mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mlssm.bundle import Bundle, check_channels
from mlssm.config import FeaturesConfig
from mlssm.cube import Cube
from mlssm.data.assemble import all_moments, has_weather
from mlssm.data.features import FeatureSource
from mlssm.data.layers import ExtentLayers
from mlssm.data.moment import Moment
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError, DataError, RunError
from mlssm.inference.certainty import ExtentCertainty
from mlssm.inference.day_maps import DayMaps
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import frozen_or_snowy
from mlssm.retrieval.stack import Stack
from mlssm.retrieval.water import open_water
from mlssm.variables import AVAILABLE, is_of_kind, named, source_of
from mlssm.weather.stations import VARIABLES

Days = npt.NDArray[np.datetime64]
Booleans = npt.NDArray[np.bool_]
DEVICES = {"cpu": "cpu", "gpu": "cuda", "cuda": "cuda", "mps": "mps"}


@dataclass(frozen=True)
class Mapper:
    """All that maps need, whatever the date.

    Attributes:
        run_id: The run that the model comes from.
        bundle: What it says of itself.
        cube: The area to map.
        stack: Its multilooked backscatter, which tells water from land.
        features: Makes the model's inputs.
        network: The trained network, on its device.
        prefit: The closed form below it; None without.
        labelled: Pixels of each extent that carried labels in training, [height, width]; None where that is not known.
        retrievals: References of each extent; None for one that the model does not know.
        certainty: How sure its maps are; None where that is not asked.
    """

    run_id: str
    bundle: Bundle
    cube: Cube
    stack: Stack
    features: FeatureSource
    network: nn.Module
    prefit: DayMaps | None = None
    labelled: list[Booleans] | None = None
    retrievals: Sequence[ExtentRetrieval | None] = ()
    certainty: ExtentCertainty | None = None

    def moment(self, day: np.datetime64) -> Moment | None:
        """Weather and NDVI of a day; None where something is missing everywhere that the model cannot do without."""
        moment, end = weather_of(self.bundle, self.features, day), window_end(self.bundle, day)
        if moment is None or self.prefit is None:
            return moment
        # the closed form needs the rain of the very last day
        return replace(moment, maps=self.prefit.on(day, end)) if end <= self.prefit.last_day else None

    def known(self, day: np.datetime64) -> Moment:
        """The same of a day that is known to be one that can be mapped.

        Raises:
            DataError: It cannot be any more.
        """
        moment = self.moment(day)
        if moment is None:
            raise DataError(f"{day} cannot be mapped any more: the area's files changed; start the same command again")
        return moment

    def step(self, end: np.datetime64) -> Moment:
        """What a step of a carried state needs of a day: its weather alone, and what is known of the map after it."""
        day = day_of(self.bundle, end)
        (window,) = self.features.field.windows(np.array([end], "datetime64[D]"), 1, "sequence")
        return Moment(window, day, () if self.prefit is None else self.prefit.on(day, end))

    def water(self) -> list[Booleans]:
        """Open water of each extent, [height, width]."""
        below = self.bundle.images.water_below_db
        return [open_water(extent, below) for extent in self.stack.extents]

    def frozen(self, day: np.datetime64) -> list[Booleans]:
        """Frozen or snowy pixels of each extent on a day, when the satellite passes, [height, width]."""
        days, morning = np.array([day], "datetime64[D]"), np.array([not self.bundle.pass_is_evening])
        masks = frozen_or_snowy(self.features.field, days, self.bundle.images, morning)
        first, everything = np.array([0]), slice(None)
        return [masks.of(extent, first, everything, everything)[0] for extent in range(len(self.stack.extents))]


def window_end(bundle: Bundle, day: np.datetime64) -> np.datetime64:
    """Last day of the window of weather of the map of a day."""
    return day if bundle.knows_the_day else day - np.timedelta64(1, "D")


def day_of(bundle: Bundle, end: np.datetime64) -> np.datetime64:
    """The day whose map has a window of weather that ends on a day."""
    return end if bundle.knows_the_day else end + np.timedelta64(1, "D")


def weather_of(bundle: Bundle, features: FeatureSource, day: np.datetime64) -> Moment | None:
    """Weather of a day; None where something is missing everywhere that the model cannot do without."""
    ends, days = (np.array([each], "datetime64[D]") for each in (window_end(bundle, day), day))
    (moment,) = all_moments(features.field, ends, days, bundle.window)
    known = has_weather(moment, bundle.weather, bundle.features)
    return moment if known and not missing_everywhere(features.spec, moment, features.layers) else None


def missing_everywhere(spec: FeatureSpec, moment: Moment, layers: Sequence[ExtentLayers]) -> list[str]:
    """Channels that a date lacks at every station or image, while the model was not trained to do without them."""
    known = np.asarray(np.isfinite(moment.window).any(axis=1).all(axis=0))  # [variable], on every step
    weather = [name for name in spec.dynamic if not name.endswith(AVAILABLE) and not known[VARIABLES.index(name)]]
    dated = [name for name in spec.static if is_of_kind(name, "dated", "age")]
    without = [name for name in dated if all(extent.dated[source_of(name)].image(moment.day) < 0 for extent in layers)]
    return [name for name in (*weather, *without) if source_of(name) + AVAILABLE not in (*spec.dynamic, *spec.static)]


def choose_device(accelerator: str) -> torch.device:
    """The device of an accelerator's name: auto, cpu, gpu (or cuda), mps.

    Raises:
        ConfigError: The name is not known, or this machine has no such device.
    """
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if accelerator not in DEVICES:
        raise ConfigError(f"accelerator={accelerator} is not known; choose one of auto, {', '.join(DEVICES)}")
    device = torch.device(DEVICES[accelerator])
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[device.type]:
        raise ConfigError(f"accelerator={accelerator}: this machine has no {device.type} device; set accelerator=cpu")
    return device


def check_pixel(cube: Cube, model: Bundle) -> None:
    """Refuse an area whose pixels cannot be brought to the model's.

    Raises:
        RunError: The area's pixels differ from the model's, and no whole number of them makes a block of its size.
    """
    wanted, native, images = model.pixel_m, cube.grid.pixel, model.images
    in_blocks = images.multilook == "block" and images.multilook_m > 0
    factor = max(round(wanted / native), 1) if in_blocks else 1
    if not np.isclose(wanted, native * factor):
        raise RunError(
            f"the model was trained on {wanted:g} m pixels, which the area's of {native:g} m cannot be brought to; "
            "train a model on this area, or give its images in another resolution"
        )


def fitting_layers(
    spec: FeatureSpec, layers: tuple[ExtentLayers, ...], features: FeaturesConfig
) -> tuple[ExtentLayers, ...]:
    """The layers, once they are known to have the model's channels.

    A soil class of the model that the area lacks covers nothing of it; a class that the model does not know is refused.

    Raises:
        RunError: Channels are missing or not known to the model.
    """
    filled = tuple(_with_absent_classes(extent, spec.static) for extent in layers)
    found = filled[0].channels
    for kind, wanted, there in (("dynamic", spec.dynamic, features.dynamic), ("static", spec.static, found)):
        own = [name for name in wanted if not name.endswith(AVAILABLE) and not is_of_kind(name, "prefit")]
        check_channels(kind, own, there)
    return filled


def _with_absent_classes(extent: ExtentLayers, wanted: Sequence[str]) -> ExtentLayers:
    known = {named(name).name: values for name, values in extent.fixed.items() if is_of_kind(name, "classes")}
    # 0 where the source is known, and NaN stays where it is not
    nothing = {source: values * np.float32(0) for source, values in known.items()}
    absent = {
        name: nothing[named(name).name]
        for name in wanted
        if name not in extent.fixed and is_of_kind(name, "classes") and named(name).name in nothing
    }
    if not absent:
        return extent
    names = [name for name in wanted if name in extent.fixed or name in absent]
    return replace(extent, fixed={name: {**extent.fixed, **absent}[name] for name in (*names, *extent.fixed)})
