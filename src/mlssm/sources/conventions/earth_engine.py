"""Earth Engine's exports of COPERNICUS/S1_GRD (dB) or S1_GRD_FLOAT (linear power): sigma0, bands VV, VH, angle.

The name is the product's own; large exports are cut into tiles. Both collections have the same names and band names.
"""

import re

from mlssm.sources.conventions.convention import PRODUCT, Convention

EARTH_ENGINE = Convention(
    name="Earth Engine",
    pattern=re.compile(
        rf"{PRODUCT}(?:[-_.](?P<polarisation>VV|VH|HH|HV))?(?:-?(?P<tile>\d{{10}}-\d{{10}}))?", re.IGNORECASE
    ),
    quantity={"": "sigma0"},
    positive="linear",
)
