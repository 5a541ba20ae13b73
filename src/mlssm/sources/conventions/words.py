"""What single words in a file's or band's name say: polarisation, unit, quantity, pass, orbit, platform, tile."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlssm.config.backscatter import Units


def _word(pattern: str) -> re.Pattern[str]:
    """Between what is no letter."""
    return re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE)


POLARISATION = _word("(VV|VH|HH|HV)")
UNITS: tuple[tuple[Units, re.Pattern[str]], ...] = (
    ("dB", _word("db|decibels?")),
    ("linear", _word("linear|lin|power|pow|natural|intensity")),
    ("amplitude", _word("amplitude|amp")),
)
# SNAP calls calibrated linear power so, and appends _db to decibels
CALIBRATED = re.compile(r"(?:Sigma|Gamma|Beta)0_(?:VV|VH|HH|HV)", re.IGNORECASE)
QUANTITY = re.compile(r"(?<![a-z])(gamma|sigma|beta)[-_ ]?(?:0|nought|naught)?(?![a-z])", re.IGNORECASE)
PASSES = {"ascending": _word("asc|ascending"), "descending": _word("des|desc|dsc|descending")}
ORBIT = re.compile(
    r"(?<![a-z])(?:rel(?:ative)?[-_]?)?(?:orbit|orb|track|path)[-_]?0*(\d{1,3})(?![\da-z])", re.IGNORECASE
)
PLATFORM = re.compile(r"(?<![a-z\d])S(?:entinel)?[-_]?1[-_]?([A-D])(?![a-z\d])", re.IGNORECASE)
# Earth Engine cuts large exports into tiles, named by their first row and column; others cut by the military grid
TILE = re.compile(r"(?<!\d)(\d{10}-\d{10})$|(?<![A-Za-z\d])T?(?P<mgrs>\d\d[C-X][A-Z]{2})(?![A-Za-z\d])")
ANGLE = re.compile(r"incidence|inc_?map|(?<![a-z])(?:inc_?)?(?:angle|theta)(?![a-z])", re.IGNORECASE)
# rasters that lie beside images, and are none
NO_IMAGE = _word(
    r"masks?|dem|dtm|layover|shadow|ls_?map|rgb|browse|preview|quicklook|thumbnail|thumb|scatter(?:ing)?_?area|"
    r"number_of_looks|nesz|std|stddev|rtc_anf.*|snr|coherence|coh"
)


@dataclass(frozen=True)
class Words:
    """What words say.

    Attributes:
        groups: By the groups of `BackscatterConfig.pattern`.
        units: Of the values, where a word tells.
        quantity: gamma0, sigma0 or beta0.
    """

    groups: dict[str, str]
    units: Units | None
    quantity: str | None


def words(text: str) -> Words:
    """What a name's words say; what two of them contradict is left open."""
    groups: dict[str, str] = {}
    if pol := polarisation(text):
        groups["polarisation"] = pol
    found = [name for name, word in PASSES.items() if word.search(text)]
    if len(found) == 1:
        groups["pass"] = found[0]
    for name, pattern in (("orbit", ORBIT), ("platform", PLATFORM), ("tile", TILE)):
        if match := pattern.search(text):
            groups[name] = ("S1" if name == "platform" else "") + str(match[match.lastindex or 1]).upper()
    quantities = {match[1].lower() + "0" for match in QUANTITY.finditer(text)}
    return Words(groups, units_in(text), quantities.pop() if len(quantities) == 1 else None)


def polarisation(text: str) -> str | None:
    """The only polarisation that a text names."""
    found = {match[1].upper() for match in POLARISATION.finditer(text)}
    return found.pop() if len(found) == 1 else None


def units_in(text: str) -> Units | None:
    """The only unit that a text names."""
    found = [units for units, word in UNITS if word.search(text)]
    if not found and CALIBRATED.fullmatch(text):
        return "linear"
    return found[0] if len(found) == 1 else None
