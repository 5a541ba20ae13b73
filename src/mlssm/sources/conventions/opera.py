"""OPERA RTC-S1 (NASA/JPL): bursts of gamma0, linear power; static layers with the incidence angle."""

import re

from mlssm.sources.conventions.convention import Convention

BURST = r"(?P<burst>T(?P<orbit>\d{3})-\d{6}-IW\d)"
OPERA = Convention(
    name="OPERA RTC-S1",
    pattern=re.compile(
        rf"OPERA_L2_RTC-S1_{BURST}_(?P<date>\d{{8}}T\d{{6}})Z_(?P<processed>\d{{8}}T\d{{6}})Z_(?P<platform>S1[A-D])_\d+_"
        r"v[\d.]+_(?P<polarisation>VV|VH|HH|HV)"
    ),
    units={"": "linear"},
    quantity={"": "gamma0"},
    incidence=re.compile(rf"OPERA_L2_RTC-S1-STATIC_{BURST}_\d{{8}}_S1[A-D]_\d+_v[\d.]+_incidence_angle"),
)
