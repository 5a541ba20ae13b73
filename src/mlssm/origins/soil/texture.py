"""Texture classes by clay and sand: the triangle of the USDA."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

TEXTURES = (
    *("sand", "loamy sand", "sandy loam", "loam", "silt loam", "silt"),
    *("sandy clay loam", "clay loam", "silty clay loam", "sandy clay", "silty clay", "clay"),
)
CLASSES = {number: name for number, name in enumerate(TEXTURES, 1)}
NONE = 0
# what a survey puts into a class's name for the size of its sand
SIZE = re.compile(r"\b(?:very fine|fine|coarse) ")


def texture_codes(clay: npt.NDArray[np.float32], sand: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Texture class of each pixel, by its number in `CLASSES`; 0 where clay or sand is missing.

    The bounds are those of the Soil Survey Manual (USDA Handbook 18, 2017, chapter 3).

    Args:
        clay: Percent of the fine earth; NaN where missing.
        sand: Likewise.
    """
    known = np.isfinite(clay) & np.isfinite(sand)
    clay, sand = np.nan_to_num(clay), np.nan_to_num(sand)
    silt = 100 - clay - sand
    sandy = silt + 1.5 * clay
    rules = {
        "sand": (sandy < 15),
        "loamy sand": (silt + 2 * clay < 30),
        "sandy clay loam": (clay >= 20) & (clay < 35) & (silt < 28) & (sand > 45),
        "sandy clay": (clay >= 35) & (sand > 45),
        "silty clay": (clay >= 40) & (silt >= 40),
        "clay": (clay >= 40),
        "silty clay loam": (clay >= 27) & (sand <= 20),
        "clay loam": (clay >= 27),
        "sandy loam": ((clay >= 7) & (sand > 52)) | ((clay < 7) & (silt < 50)),
        "silt": (silt >= 80) & (clay < 12),
        "silt loam": (silt >= 50),
    }
    chosen = np.select(list(rules.values()), [TEXTURES.index(name) + 1 for name in rules], TEXTURES.index("loam") + 1)
    return np.where(known, chosen, NONE).astype(np.uint8)


def texture_code(name: str | None) -> int:
    """The number of a survey's texture class (Fine sandy loam is a sandy loam); 0 where it is none of the twelve."""
    plain = SIZE.sub("", (name or "").strip().lower())
    return TEXTURES.index(plain) + 1 if plain in TEXTURES else NONE
