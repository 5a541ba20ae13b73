"""The cube: one zarr group that holds an area on its grid. Its layout, and how it is read.

| array | shape | values |
| --- | --- | --- |
| backscatter | time, polarisation, y, x | dB; int16, scale 0.01 |
| incidence | orbit, y, x | degrees; int16, scale 0.01; where the source has it |
| static | feature, y, x | elevation (m), slope (degrees), soil (class code), layers; float32 |
| ndvi | ndvi_time, y, x | -1..1; int16, scale 0.0001 |
| layer_<name> | layer_<name>_time, y, x | of a dated layer; float32 |
| weather | day, station, variable | float64 at the stations, never as rasters |
| station | station, property | longitude, latitude, elevation_m, easting, northing |
| time, local_day, window_end, orbit | time | of each acquisition; UTC seconds, days and days since 1970-01-01, number |
| platform | time | of each acquisition: 0 unknown, 1 to 4 for S1A to S1D |
| forecast | day | 1 where the day's weather is forecast, behind the record |
| ndvi_time, day | ndvi_time, day | days since 1970-01-01 |
| x, y, spatial_ref | x, y, none | pixel centres (m); the CRS and transform as CF and GDAL name them |

Packed values follow CF (`scale_factor`, `_FillValue`), so that `xarray.open_zarr` decodes them. Chunks in which nothing
was measured are not written. Each chunk carries a checksum, and the attributes have one of each file.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import zarr

from mlssm.errors import DataError
from mlssm.grid import Grid, Window
from mlssm.manifest import Manifest, read_manifest, refuse_incomplete
from mlssm.weather.stations import StationWeather

FILL = np.int16(-32768)
BACKSCATTER_SCALE = 0.01
ANGLE_SCALE = 0.01
NDVI_SCALE = 0.0001
NOON = 12  # local hour
STATION_PROPERTIES = ("longitude", "latitude", "elevation_m", "easting", "northing")
STRIP = 64  # rows that stay in the processor's cache
PLATFORMS = ("", "S1A", "S1B", "S1C", "S1D")

Array = npt.NDArray[np.float32]
Packed = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Cube:
    """A cube on disk, opened for reading; arrays are read when asked for.

    Attributes:
        path: The zarr group.
        manifest: Its attributes.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Cube:
        """Open a cube.

        Raises:
            DataError: There is no cube, another version wrote it, or files of it are gone.
        """
        manifest = read_manifest(path)
        refuse_incomplete(path, manifest)
        return cls(path, manifest)

    @cached_property
    def grid(self) -> Grid:
        """The grid of all arrays."""
        return Grid(self.manifest.crs, self.manifest.origin, self.manifest.pixel, *self.manifest.shape)

    @cached_property
    def extents(self) -> tuple[Window, ...]:
        """The parts of the grid that images cover; they do not overlap."""
        return tuple(Window(*extent) for extent in self.manifest.extents)

    @cached_property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Acquisition times, UTC, datetime64[s], [time]."""
        return np.asarray(self._read("time")).astype("datetime64[s]")

    @cached_property
    def local_days(self) -> npt.NDArray[np.datetime64]:
        """The local day at each acquisition, datetime64[D], [time]."""
        return np.asarray(self._read("local_day")).astype("datetime64[D]")

    @cached_property
    def window_ends(self) -> npt.NDArray[np.datetime64]:
        """The last day of the antecedent window of each acquisition, datetime64[D], [time]."""
        return np.asarray(self._read("window_end")).astype("datetime64[D]")

    @property
    def morning(self) -> npt.NDArray[np.bool_]:
        """Which acquisitions were made before noon, local time [time]."""
        zone = ZoneInfo(self.manifest.time_zone)
        seconds = self.times.astype("datetime64[s]").astype(np.int64)
        return np.array([dt.datetime.fromtimestamp(int(each), zone).hour < NOON for each in seconds], bool)

    @cached_property
    def orbits(self) -> npt.NDArray[np.int64]:
        """Relative orbit of each acquisition, [time]; 0 where the source does not tell."""
        return np.asarray(self._read("orbit"), np.int64)

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """Platform of each acquisition, e.g. S1A, [time]; empty text where the images' names do not tell."""
        if "platform" not in self._group:  # cubes of before
            return ("",) * len(self.times)
        return tuple(PLATFORMS[code] for code in np.asarray(self._read("platform")))

    @cached_property
    def ndvi_days(self) -> npt.NDArray[np.datetime64]:
        """Days of the NDVI images, datetime64[D], [ndvi_time]; empty where NDVI is left out."""
        return self.dated_days("ndvi")

    def dated_days(self, name: str) -> npt.NDArray[np.datetime64]:
        """Days of the images of NDVI or of a dated layer, datetime64[D]; empty where the cube has none."""
        array = dated_array(name)
        if array not in self._group:
            return np.zeros(0, "datetime64[D]")
        return np.asarray(self._read(f"{array}_time")).astype("datetime64[D]")

    @cached_property
    def weather(self) -> StationWeather:
        """The weather at its stations."""
        stations = np.asarray(self._read("station"))
        days = np.asarray(self._read("day")).astype("datetime64[D]")
        values = np.asarray(self._read("weather"))
        longitude, latitude, elevation = stations.T[:3]
        return StationWeather(days, self.manifest.stations, longitude, latitude, elevation, values)

    @cached_property
    def forecast_days(self) -> npt.NDArray[np.bool_]:
        """Which days of the weather are forecast [day]; none in cubes of versions that knew no forecasts."""
        if "forecast" not in self._group:
            return np.zeros(len(self._read("day")), bool)
        return np.asarray(self._read("forecast"), bool)

    @cached_property
    def station_xy(self) -> npt.NDArray[np.float64]:
        """Easting and northing of the stations, metres, [station, 2]."""
        return np.asarray(self._read("station")[:, 3:5], float)

    def backscatter(self, time: int, polarisation: str, extent: Window) -> Array:
        """One acquisition's backscatter, dB, float32 [height, width], NaN where nothing was measured.

        Raises:
            DataError: The cube lacks the polarisation.
        """
        return unpack(self.packed(time, polarisation, extent), BACKSCATTER_SCALE)

    def packed(self, time: int, polarisation: str, extent: Window) -> Packed:
        """The same as it is stored, int16 of 0.01 dB; see `unpack`."""
        known = self.manifest.polarisations
        if polarisation not in known:
            raise DataError(f"retrieval.polarisation={polarisation} is not in the images; they have {', '.join(known)}")
        rows, cols = extent.slices
        return np.asarray(self._read("backscatter", time, known.index(polarisation), rows, cols), np.int16)

    def static(self, feature: str, extent: Window) -> Array:
        """A static feature, float32 [height, width], NaN where missing."""
        rows, cols = extent.slices
        return np.asarray(self._read("static", self.manifest.features.index(feature), rows, cols), np.float32)

    def ndvi(self, image: int, extent: Window) -> Array:
        """One NDVI image, float32 [height, width], -1..1, NaN where missing."""
        return self.dated("ndvi", image, extent)

    def dated(self, name: str, image: int, extent: Window) -> Array:
        """One image of NDVI or of a dated layer, float32 [height, width], NaN where missing."""
        rows, cols = extent.slices
        stored = self._read(dated_array(name), image, rows, cols)
        return unpack(stored, NDVI_SCALE) if name == "ndvi" else np.asarray(stored, np.float32)

    def incidence(self, orbit: int, extent: Window) -> Array | None:
        """Incidence angle of a relative orbit, degrees, float32 [height, width]; None where the source has none."""
        if orbit not in self.manifest.orbits:
            return None
        rows, cols = extent.slices
        return unpack(self._read("incidence", self.manifest.orbits.index(orbit), rows, cols), ANGLE_SCALE)

    @cached_property
    def _group(self) -> zarr.Group:
        return zarr.open_group(self.path, mode="r")

    def _read(self, name: str, *index: int | slice) -> Any:
        """An array, or a part of it.

        Raises:
            DataError: A chunk of it is damaged.
        """
        try:
            array: Any = self._group[name]
            return array[index or ...]
        except (RuntimeError, ValueError, OSError) as error:  # of the decoder, of zarr, of the disk
            raise DataError(
                f"{self.path}: array '{name}' is damaged ({error}); `mlssm-verify {self.path}` names its files: copy "
                "them again, or delete the cube, and it is made anew"
            ) from error


def dated_array(name: str) -> str:
    """The array of NDVI, or of a dated layer of this name."""
    return name if name == "ndvi" else f"layer_{name}"


def pack(values: Array, scale: float) -> Packed:
    """Pack floats into int16; NaN becomes the fill value. The inverse of `unpack` to half a step of `scale`."""
    steps = np.clip(np.round(values / scale), FILL + 1, 32767)
    return np.where(np.isnan(values), FILL, np.nan_to_num(steps)).astype(np.int16)


def pack_power(power: Array) -> Packed:
    """Pack linear power into int16 of 0.01 dB; what is missing or not positive becomes the fill value.

    Args:
        power: float32, [rows, columns]; it is overwritten.
    """
    packed = np.empty(power.shape, np.int16)
    for start in range(0, len(power), STRIP):
        strip = power[start : start + STRIP]
        known = strip.min() > 0 and np.isfinite(strip.max())  # NaN is not
        missing = None if known else ~((strip > 0) & np.isfinite(strip))
        if missing is not None:
            strip[missing] = 1
        np.log10(strip, out=strip)
        strip *= np.float32(10 / BACKSCATTER_SCALE)
        np.rint(strip, out=strip)
        np.clip(strip, FILL + 1, 32767, out=strip)
        packed[start : start + STRIP] = strip
        if missing is not None:
            packed[start : start + STRIP][missing] = FILL
    return packed


@lru_cache
def _powers() -> Array:
    """Linear power of each packed value, by its bits as an unsigned number; 0 for the fill value."""
    packed = np.arange(65536, dtype=np.uint16).view(np.int16)
    power = 10 ** (packed.astype(float) * BACKSCATTER_SCALE / 10)
    return np.where(packed == FILL, 0, power).astype(np.float32)


def unpack_power(packed: Packed) -> Array:
    """Linear power, float32, of packed backscatter; 0 where it is the fill value."""
    return np.take(_powers(), packed.view(np.uint16), mode="clip")  # a bare index takes twice as long


def unpack(packed: Packed, scale: float) -> Array:
    """Unpack int16 into float32; the fill value becomes NaN."""
    return np.where(packed == FILL, np.nan, packed * np.float32(scale)).astype(np.float32)
