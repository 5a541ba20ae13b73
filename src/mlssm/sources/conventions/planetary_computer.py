"""Planetary Computer's Sentinel-1 RTC: gamma0, linear power; a file a polarisation, or below a folder of the item."""

import re

from mlssm.sources.conventions.convention import PRODUCT, Convention

PLANETARY_COMPUTER = Convention(
    name="Planetary Computer RTC",
    pattern=re.compile(rf"{PRODUCT}_rtc(?:[-_.]|/(?:.*/)?iw-)(?P<polarisation>VV|VH|HH|HV)(?:\.rtc)?", re.IGNORECASE),
    units={"": "linear"},
    quantity={"": "gamma0"},
)
