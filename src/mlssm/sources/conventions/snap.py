"""SNAP's exports of ground range products: the product's name, and the steps that were taken, as `_Orb_NR_Cal_TC_dB`.

Bands are called Sigma0_VV, or Sigma0_VV_db in decibels; Amplitude_VV and Intensity_VV are not calibrated.
"""

import re

from mlssm.sources.conventions.convention import PRODUCT, Convention

SNAP = Convention(
    name="SNAP",
    pattern=re.compile(rf"(?:subset_(?:\d+_of_)?)?{PRODUCT}(?P<rest>[-_. ].+)", re.IGNORECASE),
    incidence=re.compile(rf"(?:subset_(?:\d+_of_)?)?{PRODUCT}[-_. ].*incidenceAngleFromEllipsoid", re.IGNORECASE),
)
