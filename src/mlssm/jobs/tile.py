"""One tile on many dates, from the area's files to a file of its own; it is finished before it has its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mlssm.config import PredictConfig
from mlssm.data.moment import Moment
from mlssm.files import naming
from mlssm.inference.carried_maps import carried_maps
from mlssm.inference.day_maps import ExtentMeans
from mlssm.inference.extent import ExtentMap
from mlssm.inference.mapper import Booleans, Days, Mapper
from mlssm.inference.means import ExtentPart
from mlssm.inference.opened import Opened, Place
from mlssm.inference.part_maps import part_maps
from mlssm.inference.square import PartPlace
from mlssm.inference.surround import Surround
from mlssm.jobs.day_map import band_names, day_flags, day_map

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TileJob:
    """What tiles are mapped for.

    Attributes:
        place: The trained run and the extent.
        config: What is asked.
        days: That are mapped, sorted.
        means: Of each extent, which the closed form needs.
        folder: Where the tiles go.
    """

    place: Place
    config: PredictConfig
    days: Days
    means: Sequence[ExtentMeans]
    folder: Path


def tile_file(folder: Path, part: ExtentPart) -> Path:
    """A tile's file, float32 [date, band, height, width] on the working grid."""
    return folder / f"{part.extent}-{part.window.row}-{part.window.col}.npy"


def write_tile(job: TileJob, part: ExtentPart) -> None:
    """Map a tile, unless its file is there.

    Raises:
        DataError: A file of the extent is bad.
        OSError: The tile cannot be written.
    """
    path = tile_file(job.folder, part)
    if path.is_file():
        return
    torch.set_num_threads(1)  # tiles side by side take all cores
    opened, partial = job.place.opened(), path.with_suffix(".partial")
    names = band_names(opened, job.config)
    shape = len(job.days), len(names), *part.window.shape
    about = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    with naming(partial):
        with partial.open("wb") as target:  # no memory map: where a disk is full, that ends the process
            np.lib.format.write_array_header_1_0(target, about)
            for bands in tile_bands(opened, job, part):
                target.write(np.stack([bands[name] for name in names]).tobytes())
        partial.replace(path)


def tile_bands(opened: Opened, job: TileJob, part: ExtentPart) -> Iterator[dict[str, Array]]:
    """The bands of each day by name [height, width]."""
    water: Booleans | None = None
    for mapper, inner, moment, found in _maps(opened, job, part):
        water = mapper.water()[0][inner] if water is None else water
        of_day = day_flags(opened, moment.day)
        yield day_map(mapper, job.config, of_day, moment, found, water, inner).values


def _maps(
    opened: Opened, job: TileJob, part: ExtentPart
) -> Iterator[tuple[Mapper, tuple[slice, slice], Moment, ExtentMap]]:
    """What was opened, the tile's rows and columns in it, and what is known and predicted of each day."""
    shape, model, config = opened.shapes[part.extent], opened.bundle, job.config
    chains = opened.chains(job.days) if opened.carried else []
    steps = max((chain.days for chain in chains), default=model.window.steps)
    surround = Surround.of(model.model, steps, config.tile, config.overlap)
    around, days = surround.needed(part.window, shape), opened.step_days(job.days)
    mapper = opened.part(part.extent, around, days, job.means[part.extent])
    place = PartPlace(part.window, around, shape)
    applicability = None if opened.certainty is None else opened.certainty.applicability
    found: Iterable[tuple[Moment, ExtentMap]]
    if chains:
        found = carried_maps(mapper, place, chains, surround, applicability)
    else:
        moments = [mapper.known(day) for day in job.days]
        found = zip(moments, part_maps(mapper, place, moments, surround, applicability), strict=True)
    return ((mapper, place.within, moment, maps) for moment, maps in found)
