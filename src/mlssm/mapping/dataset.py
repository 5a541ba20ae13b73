"""Maps as a torchgeo dataset: they meet landslide inventories, land cover and the like by place and day.

Needs the extra: pip install 'mlssm[torchgeo]'.
"""

from __future__ import annotations

from torchgeo.datasets import RasterDataset


class SoilMoistureMaps(RasterDataset):
    """The maps that `predict.py` wrote into a folder, indexed by bounds and day.

    `maps & other` and torchgeo's samplers give samples whose `image` is SSM 0..1, float32 [1, height, width], NaN where
    nothing was mapped.
    """

    filename_glob = "ssm_*.tif"
    filename_regex = r"ssm_(?P<date>\d{8})\.tif"
    date_format = "%Y%m%d"
    all_bands = ("ssm",)
