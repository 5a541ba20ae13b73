"""The model bundle: weights and all that is needed to use them on other days and areas. Knows nothing of tracking."""

from mlssm.bundle.files import DESCRIPTION, WEIGHTS, load, load_fitted, save
from mlssm.bundle.nested import pack
from mlssm.bundle.record import Bundle, check_channels

__all__ = ["DESCRIPTION", "WEIGHTS", "Bundle", "check_channels", "load", "load_fitted", "pack", "save"]
