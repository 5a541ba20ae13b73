"""Sentinel-1 RTC of a STAC API: a file a scene and polarisation, cut for the area's grid."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import cast

import numpy as np

from mlssm import orbits
from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.base import Strict
from mlssm.config.origins import StacBackscatter
from mlssm.errors import DataError
from mlssm.origins.contract import Fetched, Plan, Request, Wanted
from mlssm.origins.download import Downloads
from mlssm.origins.expected import covered_bytes
from mlssm.origins.stac.catalogue import Catalogue, Item, asset, only_newest
from mlssm.origins.stac.windows import Windows
from mlssm.origins.written import provenance, write_geotiff

log = logging.getLogger(__name__)

NAME = re.compile(r"(?P<platform>S1[A-D])_.*")
PATTERN = (
    r"(?P<platform>S1[A-D])_(?P<date>\d{8}T\d{6})(?:_(?P<orbit>\d{3}))?(?:_(?P<pass>ascending|descending))?"
    r"_(?P<polarisation>VV|VH|HH|HV)\.tif"
)
NATIVE_M, BYTES = 10.0, 4  # of RTC from IW GRDH: float32


class StacBackscatterFetcher:
    """Fills the folder of backscatter."""

    def __init__(self, settings: StacBackscatter, downloads: Downloads) -> None:
        """Take the settings, and what asks."""
        self.settings = settings
        self.catalogue = Catalogue(settings, downloads)
        self.windows = Windows(self.catalogue, downloads)

    def plan(self, request: Request) -> Plan:
        """Find the scenes; see `mlssm.origins.contract.Fetcher`.

        Raises:
            DataError: There is none, or they are not terrain-corrected.
        """
        items = [item for item in self.catalogue.items(request) if self._counts(item)]
        licence = self.catalogue.licence()
        scenes = only_newest(items, lambda item: (platform(item), item.time.replace(microsecond=0)))
        wanted = tuple(file for item in scenes for file in self._files(item, request, licence))
        if not wanted:
            raise DataError(
                f"none of {len(items)} scenes of {self.settings.collection} has "
                f"{' or '.join(self.settings.polarisations)}, or is of the orbits that count"
            )
        numbers = sorted({str(relative_orbit(item) or "unknown") for item in scenes})
        notes = (
            f"{len(scenes)} scenes of relative orbit {', '.join(numbers)}, "
            f"{scenes[0].time:%Y-%m-%d} to {scenes[-1].time:%Y-%m-%d}",
            "bytes are estimated from the windows' pixels; files are compressed",
        )
        requests = 2 + len(wanted) * 3
        return Plan("backscatter", f"STAC {self.settings.api}, {self.settings.collection}", wanted, requests, notes)

    def fetch(self, request: Request, plan: Plan) -> Fetched:
        """Cut each scene's window; see `mlssm.origins.contract.Fetcher`."""
        self.windows.write(request, plan.wanted, lambda item: self._write(item, request))
        files = provenance(request.root, plan.wanted)
        if not files:
            raise DataError(f"no scene of {self.settings.collection} reaches area {request.place.bounds}")
        section = BackscatterConfig(folder=request.folder, pattern=PATTERN, units="linear")
        return Fetched(section, files)

    def _counts(self, item: Item) -> bool:
        kind = str(item.properties.get("sar:product_type", "")).upper()
        if kind in ("GRD", "SLC"):
            raise DataError(f"{item.id} is {kind}, which is not terrain-corrected; use a collection of RTC")
        return self.settings.orbits is None or relative_orbit(item) in self.settings.orbits

    def _files(self, item: Item, request: Request, licence: str) -> Iterator[Wanted]:
        orbit, flight = relative_orbit(item), orbits.direction(item.properties.get("sat:orbit_state"))
        parts = [platform(item), f"{item.time:%Y%m%dT%H%M%S}"]
        parts += [f"{orbit:03d}"] if orbit else []
        parts += [flight] if flight else []
        size = covered_bytes(item.bounds, request, NATIVE_M, BYTES)
        for polarisation in self.settings.polarisations:
            if (address := asset(item, polarisation)) is not None:
                name = f"{request.folder}/{'_'.join([*parts, polarisation])}.tif"
                yield Wanted(name, address, size, licence)

    def _write(self, item: Wanted, request: Request) -> None:
        cut = self.windows.read(item.address, request.grid)
        if cut is None or not np.isfinite(cut.values).any():
            log.info("%s has nothing on the area: no file", item.address)
            return
        grid = request.grid.crop(cut.window)
        write_geotiff(request.root / item.name, cut.values, grid, float("nan"), description=item.name[-6:-4])


def fetcher(settings: Strict, downloads: Downloads) -> StacBackscatterFetcher:
    """What fetches backscatter from a STAC API."""
    return StacBackscatterFetcher(cast(StacBackscatter, settings), downloads)


def platform(item: Item) -> str:
    """S1A, S1B, S1C or S1D.

    Raises:
        DataError: The item does not say.
    """
    stated = re.fullmatch(r"sentinel-?1([a-d])", str(item.properties.get("platform", "")).lower())
    if stated:
        return f"S1{stated[1].upper()}"
    if named := NAME.match(item.id.upper()):
        return named["platform"]
    raise DataError(f"item {item.id} says not of which Sentinel-1 it is; is the collection one of Sentinel-1?")


def relative_orbit(item: Item) -> int | None:
    """Relative orbit: as stated, or by the absolute one; None where neither tells."""
    if (stated := item.properties.get("sat:relative_orbit")) is not None:
        return int(stated)
    absolute = item.properties.get("sat:absolute_orbit")
    return None if absolute is None else orbits.relative_orbit(platform(item), str(absolute), f"{item.time:%Y%m%d}")
