"""The maps of a folder that belong together: those of a command, and those that earlier ones left beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlssm.jobs.settings_of_maps import SETTINGS, tags_of
from mlssm.mapping.list import DayMap, list_maps


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
        others = (path for path in paths[0].parent.glob("ssm_*.tif") if path.name not in own)
        alike = [path for path in others if settings is not None and (tags_of(path) or {}).get(SETTINGS) == settings]
        return cls(asked, sorted([*asked, *list_maps(alike)], key=lambda each: each.day))

    def around(self, days: int) -> list[DayMap]:
        """Those asked for, and those so many days at most before the first or after the last of them."""
        first, last = (np.datetime64(each.day, "D") for each in (self.asked[0], self.asked[-1]))
        return [each for each in self.whole if first - days <= np.datetime64(each.day, "D") <= last + days]
