"""What a training had of its area and a map of the same area lacks: stations and images that are gone."""

from __future__ import annotations

import logging
from typing import Any

from mlssm.cube import Cube
from mlssm.inference.opened import Opened
from mlssm.jobs.settings_of_maps import shown

log = logging.getLogger(__name__)
KEY = "trained_on"  # of what a bundle keeps as fitted


def trained_on(cube: Cube) -> dict[str, Any]:
    """Stations and images of an area, for the bundle: names, and times of acquisition, UTC."""
    return {"stations": list(cube.manifest.stations), "images": [str(time) for time in cube.times]}


def tell_gone(opened: Opened) -> None:
    """Warn of what the training had of this area and that is not there any more, and say what that changes.

    Another area, and a model of a version that did not keep it, have nothing to compare.
    """
    known = None if opened.fitted is None else opened.fitted.get(KEY)
    labelled = opened.labelled
    if known is None or labelled is None:
        return
    if not any(extent.any() for extent in labelled):
        log.warning("the area is not the one that the model was trained on: none of its pixels carried a label")
        return
    stations = [name for name in known["stations"] if name not in opened.cube.manifest.stations]
    if stations:
        text = "stations that training had are gone: %s; their weather is interpolated from the %d that are left"
        log.warning(text, shown(stations), len(opened.cube.manifest.stations))
    there = {str(time) for time in opened.cube.times}
    if images := [time for time in known["images"] if time not in there]:
        nowcast = opened.form is not None and opened.form.nowcast
        change = "the nowcast does not see them" if nowcast else "water is told from the others; nothing else changes"
        log.warning("%d images that training had are gone (%s): %s", len(images), shown(images), change)
