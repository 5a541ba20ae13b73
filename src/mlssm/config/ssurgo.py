"""USDA's Soil Data Access, which has SSURGO."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mlssm.config.base import Strict

SOIL_DATA_ACCESS = "https://sdmdataaccess.sc.egov.usda.gov/Tabular/post.rest"


class SsurgoSoil(Strict):
    """Hydrologic soil groups of SSURGO's map units.

    Attributes:
        service: `ssurgo`.
        api: Address that takes queries.
        tile_degrees: Side of the boxes that are asked for, as an answer is limited to 100,000 rows and 32 MB.
    """

    service: Literal["ssurgo"]
    api: str = SOIL_DATA_ACCESS
    tile_degrees: float = Field(default=0.05, gt=0, le=1)
