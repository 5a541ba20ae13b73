"""How the description of a bundle that an earlier version wrote becomes one of today."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from mlssm.config.models import settings_part, window_part

Values = dict[str, Any]

# the family of all models from before there was a choice; runs' configurations of then name none either
FIRST_FAMILY = "mlssm.models.convlstm.ConvLSTMSettings"

# what format 1 knew of images; `ImagesConfig` reads one polarisation as a channel
_FIRST_IMAGES = (
    *("polarisation", "multilook_m", "multilook", "min_valid_fraction"),
    *("water_below_db", "frozen_below_c", "snow_above_mm"),
)

# A key that came to a section later: "section.key" to the value that its absence meant. A test loads kept bundles,
# which fails for as long as a new key is not here.
LATER: Mapping[str, Any] = {"features.previous": "none", "window.window_end": "acquisition", "weather.bridge_days": 0}


def upgraded(values: Values) -> Values:
    """A description of any format up to `FORMAT` as one of `FORMAT`.

    Raises:
        KeyError, TypeError: It is none, as something is missing that each one of its format has.
    """
    found = copy.deepcopy(values)
    for upgrade in UPGRADES[found["format"] - 1 :]:
        found = upgrade(found)
    for name, value in LATER.items():
        section, key = name.split(".")
        found["bundle"][section].setdefault(key, value)
    return found


def _from_1(values: Values) -> Values:
    """Format 1 held the whole training configuration, tracking and all; its models were all of one family."""
    inner = dict(values["bundle"])
    config, channels = inner.pop("config"), inner.pop("features")
    inner |= {
        "model": {**settings_part(config["model"]), "family": FIRST_FAMILY},
        "spread": config["loss"]["name"] == "nll",
        "window": window_part(config["model"]),
        "channels": channels,
        "images": {name: config["retrieval"][name] for name in _FIRST_IMAGES},
        **{name: config[name] for name in ("features", "weather", "datamodule")},
    }
    return {**values, "format": 2, "bundle": inner}


def _from_2(values: Values) -> Values:
    """Format 2 kept nothing that was fitted beside the weights."""
    return {**values, "format": 3, "bundle": {**values["bundle"], "fitted": None}}


def _from_3(values: Values) -> Values:
    """Format 3 called the extents that a closed form was fitted on areas."""
    fitted = values["bundle"]["fitted"]
    forecaster = None if fitted is None else fitted["forecaster"]
    if forecaster is not None:
        forecaster["extents"] = forecaster.pop("areas")
    return {**values, "format": 4}


# from each format to the next
UPGRADES: tuple[Callable[[Values], Values], ...] = (_from_1, _from_2, _from_3)
FORMAT = len(UPGRADES) + 1
