"""What a producer's file names say: a table each, which is all that a new producer takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlssm.config.backscatter import Units
from mlssm.orbits import relative_orbit
from mlssm.sources.conventions.words import ANGLE, NO_IMAGE, words

# the name of a Sentinel-1 product of ground range: start, stop, absolute orbit, data take, and mostly a checksum
PRODUCT = (
    r"(?P<platform>S1[A-D])_(?:IW|EW|S\d|WV)_GRD[FHM]_1S[SD][HV]_(?P<date>\d{8}T\d{6})_\d{8}T\d{6}_(?P<absolute>\d{6})_"
    r"[0-9A-F]{6}(?:_[0-9A-F]{4})?"
)


@dataclass(frozen=True)
class Named:
    """What the name of an image says.

    Attributes:
        groups: By the groups of `BackscatterConfig.pattern`; those that it has.
        convention: Whose names these are.
        units: Of the values; None where the name does not tell.
        quantity: gamma0, sigma0 or beta0; None where it does not tell.
        positive: See `Convention`.
    """

    groups: dict[str, str]
    convention: str
    units: Units | None = None
    quantity: str | None = None
    positive: Units | None = None


@dataclass(frozen=True)
class Convention:
    """How a producer names files.

    Attributes:
        name: The producer, as users know it.
        pattern: Of an image's name without suffix. Its groups are those of `BackscatterConfig.pattern`; `absolute` is
            an absolute orbit, `scale` and `radiometry` are letters that the next two explain, and in `rest` words are
            looked for.
        units: Of the values, by `scale`; by "" where all are alike; empty where names do not tell.
        quantity: gamma0 or sigma0, by `radiometry` in the same way.
        positive: The unit of positive values in a band that is called by its polarisation alone; None: not certain.
        incidence: Of the name of a file of incidence angles, with `orbit`, or `date` where there is one an image.
        incidence_units: Of these.
    """

    name: str
    pattern: re.Pattern[str]
    units: Mapping[str, Units] = field(default_factory=dict)
    quantity: Mapping[str, str] = field(default_factory=dict)
    positive: Units | None = None
    incidence: re.Pattern[str] | None = None
    incidence_units: Literal["degrees", "radians"] = "degrees"

    def read(self, name: str) -> Named | None:
        """What a name without suffix says; None where it is none of this producer's images."""
        match = self.pattern.fullmatch(name)
        beside = "" if match is None else match.groupdict().get("rest") or ""
        if match is None or NO_IMAGE.search(beside) or ANGLE.search(beside):
            return None
        groups = _given(match)
        rest = words(groups.pop("rest", ""))
        units = self.units.get(groups.pop("scale", "").lower()) or rest.units
        quantity = self.quantity.get(groups.pop("radiometry", "").lower()) or rest.quantity
        return Named(with_orbit(rest.groups | groups), self.name, units, quantity, self.positive)

    def read_incidence(self, name: str) -> dict[str, str] | None:
        """The groups of a file of incidence angles; None where it is none."""
        match = None if self.incidence is None else self.incidence.fullmatch(name)
        return None if match is None else with_orbit(_given(match))


UPPER = ("platform", "date", "polarisation", "processed", "burst")


def _given(match: re.Match[str]) -> dict[str, str]:
    """The groups that a name has; producers differ in upper and lower case."""
    found = {key: value for key, value in match.groupdict().items() if value is not None}
    return {key: value.upper() if key in UPPER else value for key, value in found.items()}


def with_orbit(groups: dict[str, str]) -> dict[str, str]:
    """The groups, with the relative orbit in place of an absolute one."""
    absolute = groups.pop("absolute", None)
    if absolute is not None and "orbit" not in groups:
        orbit = relative_orbit(groups.get("platform", "").upper(), absolute, groups.get("date", ""))
        groups |= {} if orbit is None else {"orbit": str(orbit)}
    return groups
