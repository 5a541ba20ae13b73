"""Which cube is wanted, by all that it is made from, and whether it is there."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlssm import __version__
from mlssm.checksums import files_below
from mlssm.config import DatamoduleConfig, WeatherConfig
from mlssm.config.area_file import FileProvenance
from mlssm.cube import Cube
from mlssm.errors import DataError
from mlssm.manifest import FORMAT, Manifest, cube_format, read_manifest
from mlssm.provenance import FileDigests, digest, name_below
from mlssm.sources.backscatter import BackscatterIndex
from mlssm.sources.faults import BadFiles
from mlssm.sources.inventory import source_digests, source_paths, tell_changed
from mlssm.sources.weather.notes import tell_station_errors_anew

log = logging.getLogger(__name__)

# where the files are and how they came there; what they hold counts
NOT_OF_A_CUBE = {"root", "cubes", "simulation", "area", "dates", "dry_run", "origin"}
DIGESTS = "digests.json"  # of source files, beside the cubes


@dataclass
class Wanted:
    """The cube that is wanted.

    Attributes:
        config: The area.
        bad: What happens to bad files.
        provenance: Where files come from, as `area.yaml` says.
    """

    config: DatamoduleConfig
    bad: BadFiles
    provenance: tuple[FileProvenance, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """What of the configuration decides what a cube holds."""
        settings = self.config.model_dump(mode="json", exclude=NOT_OF_A_CUBE)
        found = {"format": FORMAT, "settings": settings, "on_bad_file": self.bad.policy}
        if self.provenance:  # when a file was fetched changes nothing
            found["provenance"] = [item.model_dump(mode="json", exclude={"retrieved"}) for item in self.provenance]
        return found

    @property
    def name(self) -> str:
        """What cubes of this area begin with."""
        return self.config.root.resolve().name

    def digests(self) -> FileDigests:
        """What is remembered of the files."""
        return FileDigests(self.config.cubes / DIGESTS)

    def identified(self, digests: FileDigests) -> tuple[Path, str, dict[str, str]]:
        """Where the cube is to be, the digest of all that it is made from, and that of each file."""
        files = source_digests(self.config, self.bad, digests)
        tell_changed(self.config.root, self.provenance, files, self.bad)
        identity = digest(self.settings | {"files": files})
        return self.config.cubes / f"{self.name}-{identity[:12]}.zarr", identity, files

    def found(self, interpolation: WeatherConfig | None) -> Cube | None:
        """The cube, where it is there.

        Files of which no digest is remembered are read for this only where a cube of the same files is there: else
        they are read once, when they are prepared.
        """
        digests = self.digests()
        if not self._may_be_there(digests):
            return None
        path, _, _ = self.identified(digests)
        if not path.is_dir():
            return None
        log.info("cube %s is there already: nothing to prepare", path)
        found = Cube.open(path)
        for line in found.manifest.corrected:
            log.warning(line)
        tell_station_errors_anew(found.manifest.weather_notes, found.weather, found.station_xy, interpolation)
        return found

    def build_name(self, index: BackscatterIndex, land: list[str]) -> str:
        """Of the build that tasks of the same passes, land and settings go on with, whichever files changed since."""
        names = [name_below(self.config.root, path) for path in source_paths(self.config, self.bad)]
        plan = self.settings | {"mlssm": __version__, "names": names, "index": repr(index), "land": land}
        return f"{self.name}-{digest(plan)[:12]}"

    def _may_be_there(self, digests: FileDigests) -> bool:
        manifests = list(self.manifests())
        if not manifests:
            return False
        paths = source_paths(self.config, self.bad)
        names = {name_below(self.config.root, path) for path in paths}
        known = all(path.is_file() and digests.knows(path) for path in paths)
        return known or any(manifest.files.keys() == names for manifest in manifests)

    def manifests(self) -> Iterator[Manifest]:
        """Those of cubes of this area that can be read."""
        for path in sorted(self.config.cubes.glob(f"{self.name}-*.zarr")):
            with suppress(DataError):
                yield read_manifest(path)


def tell_of_other_formats(wanted: Wanted) -> None:
    """Say which cubes of the area another version wrote."""
    for path in sorted(wanted.config.cubes.glob(f"{wanted.name}-*.zarr")):
        if (found := cube_format(path)) not in (None, FORMAT):
            log.warning(
                "%s has cube format %s of an earlier version, and this one writes %d: the cube is made anew; delete "
                "the old one",
                *(path, found, FORMAT),
            )


def tell_of_older(wanted: Wanted, made: Path) -> None:
    """Say how much room cubes of the area as it was take beside the one that was made."""
    cubes = re.compile(rf"{re.escape(wanted.name)}-[0-9a-f]{{12}}\.zarr")
    older = [path for path in made.parent.iterdir() if cubes.fullmatch(path.name) and path != made]
    if older:
        beside = [other for path in older for other in made.parent.glob(f"{path.stem}.*")]
        size = sum(path.stat().st_size for folder in beside for path in files_below(folder))
        log.info(
            "%s: %d %s of %s, of other files or settings, %s MB with what lies beside; delete those of no use any more",
            *(made.parent, len(older), "older cube" if len(older) == 1 else "older cubes", wanted.name),
            f"{size / 1e6:,.1f}",
        )
