"""What was recognised of a folder of backscatter, in a line; and what in it does not go together."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlssm.sources.faults import BadFiles
from mlssm.sources.naming import Names
from mlssm.sources.passes import Pass

log = logging.getLogger(__name__)


def tell_recognised(
    folder: Path, names: Names, passes: Sequence[Pass], incidence: Mapping[int, Sequence[Path]], bad: BadFiles
) -> None:
    """Log what the folder's images are taken for, and warn where they are of several quantities or units."""
    images = [image for overpass in passes for image in overpass.images]
    named = [names.images[path] for path in dict.fromkeys(image.path for image in images)]
    units = Counter(image.stored.units for image in images)
    quantities = Counter(each.quantity for each in named if each.quantity)
    orbits = Counter(f"{overpass.orbit or 'without number'} {overpass.direction}".strip() for overpass in passes)
    platforms = sorted({image.platform for image in images if image.platform})
    log.info(
        "backscatter: %d files in %s by %s: %s; %s; %s; %d passes of orbits %s; incidence angle of %d orbits",
        *(len(named), folder, _counted(Counter(each.convention for each in named))),
        " and ".join([*(_counted(units), *quantities)]),
        _counted(Counter(image.polarisation for image in images)),
        ", ".join(platforms) or "satellites not told",
        *(len(passes), _counted(orbits), len(incidence)),
    )
    if len(units) > 1:
        bad.say(f"the images in {folder} are in several units ({_counted(units)}): each was read in its own")
    if len(quantities) > 1:
        bad.say(
            f"the images in {folder} are of several quantities ({_counted(quantities)}), which differ by decibels with "
            "the incidence angle; keep those of one"
        )


def _counted(counts: Counter[str]) -> str:
    """The names, and how many of each where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
