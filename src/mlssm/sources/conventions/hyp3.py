"""ASF HyP3 RTC (GAMMA): letters of the name say gamma0 or sigma0; power, decibels or amplitude.

Of its two incidence maps the ellipsoid's is used: the local one has the terrain in it, which the correction took out.
"""

import re

from mlssm.sources.conventions.convention import Convention

# platform, mode, start; polarisation and orbit file, pixel, software; gamma or sigma, scale, water mask, filter,
# clipped or not, matched or not; an identifier
SCENE = (
    r"(?P<platform>S1[A-D])_\w\w_(?P<date>\d{8}T\d{6})_[SD][HV][PRO]_RTC\d+_[A-Z]_(?P<radiometry>[gs])(?P<scale>[pda])"
    r"[um][nf][ec][dm]_[0-9A-F]{4}"
)
HYP3 = Convention(
    name="ASF HyP3 RTC",
    pattern=re.compile(rf"{SCENE}_(?P<polarisation>VV|VH|HH|HV)", re.IGNORECASE),
    units={"p": "linear", "d": "dB", "a": "amplitude"},
    quantity={"g": "gamma0", "s": "sigma0"},
    incidence=re.compile(rf"{SCENE}_inc_map_ell", re.IGNORECASE),
    incidence_units="radians",
)
