"""The services of an area's soil."""

from __future__ import annotations

from typing import Literal

from mlssm.config.base import Strict


class SsurgoSoil(Strict):
    """SSURGO, the soil survey of the United States, from Soil Data Access.

    Attributes:
        service: `ssurgo`.
        api: Its address.
        classes: Hydrologic groups of the dominant condition, or the texture of the surface of the largest component.
    """

    service: Literal["ssurgo"]
    api: str = "https://sdmdataaccess.sc.egov.usda.gov"
    classes: Literal["hydrologic_group", "texture"] = "hydrologic_group"


class SoilGridsSoil(Strict):
    """Texture classes (USDA) by the clay and sand of SoilGrids 2.0, 250 m, all land.

    Attributes:
        service: `soilgrids`.
        api: Address of its WCS.
        depth: Which layer.
    """

    service: Literal["soilgrids"]
    api: str = "https://maps.isric.org/mapserv"
    depth: Literal["0-5cm", "5-15cm", "15-30cm", "30-60cm", "60-100cm", "100-200cm"] = "0-5cm"


class PolarisSoil(Strict):
    """Texture classes (USDA) by the clay and sand of POLARIS, 30 m, contiguous United States.

    Attributes:
        service: `polaris`.
        api: Address of its folder of properties.
        depth: Which layer, cm.
    """

    service: Literal["polaris"]
    api: str = "http://hydrology.cee.duke.edu/POLARIS/PROPERTIES/v1.0"
    depth: Literal["0_5", "5_15", "15_30", "30_60", "60_100", "100_200"] = "0_5"
