"""Measurements with the names that they have in Copernicus and ASF products, geocoded since.

As they are delivered they are digital numbers in radar geometry, which their header and values tell.
"""

import re

from mlssm.sources.conventions.convention import Convention

SAFE = Convention(
    name="Copernicus SAFE",
    pattern=re.compile(
        r"(?P<platform>s1[a-d])-(?:iw|ew|s\d)\d?-grd-(?P<polarisation>vv|vh|hh|hv)-(?P<date>\d{8}t\d{6})-\d{8}t\d{6}-"
        r"(?P<absolute>\d{6})-[0-9a-f]{6}-\d{3}(?P<rest>(?:[-_. ].*)?)",
        re.IGNORECASE,
    ),
)
