"""An area's cube and its maps as torchgeo datasets: they meet landslide inventories, land cover and the like.

`cube & inventory` and `maps | others` are torchgeo's intersection and union; its samplers draw from all of them, and
its `stack_samples` makes batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import rasterio
import shapely
import torch
from pyproj import CRS
from rasterio.vrt import WarpedVRT
from torch import Tensor
from torchgeo.datasets import GeoDataset, RasterDataset

from mlssm.cube import Cube
from mlssm.errors import ConfigError, DataError
from mlssm.grid import Grid, Window
from mlssm.mapping.geotiff import NODATA, PACKED, STEP

Transform = Callable[[dict[str, Any]], dict[str, Any]]


class SoilMoistureMaps(RasterDataset):
    """The maps that `predict.py` wrote into a folder, indexed by bounds and day.

    `maps & other` and torchgeo's samplers give samples whose `image` is SSM 0..1, float32 [1, height, width], NaN where
    nothing was mapped.
    """

    filename_glob = "ssm_*.tif"
    filename_regex = r"ssm_(?P<date>\d{8})\.tif"
    date_format = "%Y%m%d"
    all_bands = ("ssm",)

    def __getitem__(self, query: Any) -> dict[str, Any]:
        """The sample of a place and time; packed maps come back in their unit, a folder of both kinds is refused.

        Args:
            query: [west:east:pixel, south:north:pixel, start:stop], parts of which may be left out.

        Raises:
            IndexError: No map is there.
            ConfigError: Some maps of the folder are packed and some are not.
        """
        transforms, self.transforms = self.transforms, None
        try:
            sample: dict[str, Any] = super().__getitem__(query)
        finally:
            self.transforms = transforms
        if self._packed:
            stored = sample["image"]
            sample["image"] = torch.where(stored == NODATA, torch.nan, stored * STEP)
        return sample if transforms is None else transforms(sample)

    def _load_warp_file(self, filepath: str | PathLike[str]) -> Any:
        """A map in the dataset's CRS; each band has its own nodata, as a pixel without soil moisture may have flags."""
        source = rasterio.open(filepath)
        if source.crs == self.crs:
            return source
        warped = WarpedVRT(source, crs=self.crs, UNIFIED_SRC_NODATA="NO")
        source.close()
        return warped

    @cached_property
    def _packed(self) -> bool:
        """Whether maps are packed, see `mlssm.mapping.geotiff.MapWriter`."""
        kinds = set()
        for path in self.files:
            with rasterio.open(path) as source:
                kinds.add(source.dtypes[0] == PACKED)
        if len(kinds) > 1:
            raise ConfigError(f"{self.paths} has packed and other maps; put them into folders of their own")
        return kinds == {True}


class CubeDataset(GeoDataset):
    """A cube, indexed by the bounds of its extents and the local day of each acquisition.

    A sample's `image` is float32 [channel, height, width] on the cube's own pixels, NaN where missing: the backscatter
    in dB of each polarisation on the latest acquisition of the wanted time, then the wanted static features.

    Attributes:
        cube: The cube.
        channels: What the image's channels are, in order.
    """

    def __init__(self, path: str | Path, features: Sequence[str] = (), transforms: Transform | None = None) -> None:
        """Open a cube.

        Args:
            path: The zarr group.
            features: Static features that become channels, too: codes of soil as they are.
            transforms: Takes a sample and returns a changed one.

        Raises:
            ConfigError: The cube lacks a feature.
            DataError: There is no cube, or it is damaged.
        """
        self.cube, self.transforms, self.paths = Cube.open(Path(path)), transforms, str(path)
        known = self.cube.manifest.features
        if unknown := [name for name in features if name not in known]:
            raise ConfigError(f"{path} has no feature '{unknown[0]}'; it has {', '.join(known) or 'none'}")
        self._features = tuple(features)
        self.channels = (*self.cube.manifest.polarisations, *self._features)
        self._res = (self.cube.grid.pixel, self.cube.grid.pixel)
        self.index = self._indexed()

    def _indexed(self) -> geopandas.GeoDataFrame:
        """A row an acquisition and extent."""
        grid = self.cube.grid
        boxes = [shapely.box(*grid.crop(extent).bounds) for extent in self.cube.extents]
        days = pd.to_datetime(self.cube.local_days)
        ends = days + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)
        count = len(boxes)
        index = pd.IntervalIndex.from_arrays(days.repeat(count), ends.repeat(count), closed="both", name="datetime")
        data = {"time": np.repeat(np.arange(len(days)), count)}
        return geopandas.GeoDataFrame(data, index=index, geometry=boxes * len(days), crs=CRS.from_user_input(grid.crs))

    @property
    def crs(self) -> CRS:
        """The cube's CRS."""
        found: CRS = self.index.crs
        return found

    @crs.setter
    def crs(self, new_crs: CRS) -> None:
        """Torchgeo brings the second of two datasets to the first one's CRS; a cube has its own.

        Raises:
            ConfigError: It is another.
        """
        if CRS.from_user_input(new_crs) != self.index.crs:
            raise ConfigError("a cube stays on its own grid; put it first: cube & other, or cube | other")

    @property
    def res(self) -> tuple[float, float]:
        """The cube's pixel, metres."""
        return self._res

    @res.setter
    def res(self, new_res: float | tuple[float, float]) -> None:
        """As `crs`.

        Raises:
            ConfigError: It is another.
        """
        wanted = (new_res, new_res) if isinstance(new_res, int | float) else new_res
        if not np.allclose(wanted, self._res):
            raise ConfigError(f"a cube has pixels of {self._res[0]:g} m; put it first: cube & other, or cube | other")

    def __getitem__(self, query: Any) -> dict[str, Any]:
        """The sample of a place and time.

        Args:
            query: [west:east:pixel, south:north:pixel, start:stop], parts of which may be left out.

        Returns:
            `image` as said above, `crs` and `bounds`.

        Raises:
            IndexError: No acquisition is there.
            DataError: The pixel is not the cube's.
        """
        x, y, time = self._disambiguate_slice(query)
        rows = self.index.iloc[self.index.index.overlaps(pd.Interval(time.start, time.stop))]
        rows = rows.cx[x.start : x.stop, y.start : y.stop]
        if rows.empty:
            raise IndexError(f"query: {query} not found in index with bounds: {self.bounds}")
        if not np.allclose((x.step, y.step), self._res):
            raise DataError(f"a cube has pixels of {self._res[0]:g} m, and {x.step:g} m are wanted; resample the other")
        image = self._image(int(rows["time"].max()), _window(self.cube.grid, x, y))
        sample = {"crs": self.crs, "bounds": query, "image": image}
        return sample if self.transforms is None else self.transforms(sample)

    def _image(self, time: int, window: Window) -> Tensor:
        inside = window.intersection(self.cube.grid.full)
        image = np.full((len(self.channels), *window.shape), np.nan, np.float32)
        if 0 not in inside.shape:
            here = inside.within(window).slices
            polarisations = self.cube.manifest.polarisations
            layers = [self.cube.backscatter(time, name, inside) for name in polarisations]
            layers += [self.cube.static(name, inside) for name in self._features]
            image[:, *here] = np.stack(layers)
        return torch.from_numpy(image)


def _window(grid: Grid, x: slice, y: slice) -> Window:
    """The pixels of a place, as many as its sides are long; they may lie beyond the grid."""
    west, north = grid.origin
    row, col = round((north - y.stop) / grid.pixel), round((x.start - west) / grid.pixel)
    return Window(row, col, round((y.stop - y.start) / grid.pixel), round((x.stop - x.start) / grid.pixel))
