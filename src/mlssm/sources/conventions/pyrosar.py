"""pyroSAR's names of what GAMMA or SNAP made, as S1A__IW___A_20180101T170648_VV_gamma0-rtc_db.tif."""

import re

from mlssm.sources.conventions.convention import Convention

PYROSAR = Convention(
    name="pyroSAR",
    pattern=re.compile(
        r"(?P<platform>S1[A-D])_+(?:IW|EW|SM|S\d)_+(?P<pass>[AD])_(?P<date>\d{8}T\d{6})_"
        r"(?P<polarisation>VV|VH|HH|HV)_(?P<rest>.+)"
    ),
)
