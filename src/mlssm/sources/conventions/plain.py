"""Names with nothing but the polarisation, the time and the relative orbit: VV_20230101T015902_137.tif."""

import re

from mlssm.sources.conventions.convention import Convention

PLAIN = Convention(
    name="plain names",
    pattern=re.compile(r"(?P<polarisation>VV|VH|HH|HV)_(?P<date>\d{8}T\d{6})(?:_(?P<orbit>\d{1,3}))?"),
    incidence=re.compile(r"incidence_(?P<orbit>\d{1,3})"),
)
