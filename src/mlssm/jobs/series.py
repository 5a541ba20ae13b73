"""The maps of a folder that belong together: those of a command, and those that earlier ones left beside them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlssm.errors import DataError
from mlssm.jobs.settings_of_maps import SETTINGS
from mlssm.mapping.list import DayMap, list_maps

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Series:
    """Maps in the order of days.

    Attributes:
        asked: Those of the command; one at least.
        whole: The same, and all of the folder that were made by the same run with the same settings.
    """

    asked: Sequence[DayMap]
    whole: Sequence[DayMap]

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Series:
        """The maps of a command, in their folder.

        Raises:
            DataError: A file is no map.
        """
        asked, own = list_maps(paths), {path.name for path in paths}
        settings = asked[0].tags.get(SETTINGS)
        if settings is None:
            return cls(asked, asked)
        others = (path for path in paths[0].parent.glob("ssm_*.tif") if path.name not in own)
        alike = [found for path in others if (found := _map_of(path, settings)) is not None]
        return cls(asked, sorted([*asked, *alike], key=lambda each: each.day))

    def around(self, days: int) -> list[DayMap]:
        """Those asked for, and those so many days at most before the first or after the last of them."""
        first, last = (np.datetime64(each.day, "D") for each in (self.asked[0], self.asked[-1]))
        return [each for each in self.whole if first - days <= np.datetime64(each.day, "D") <= last + days]


def _map_of(path: Path, settings: str) -> DayMap | None:
    """A map of these settings; None where it is of others, or none."""
    try:
        (found,) = list_maps([path])
    except DataError as error:
        log.warning("not shown beside the maps of this command: %s", error)
        return None
    return found if found.tags.get(SETTINGS) == settings else None
