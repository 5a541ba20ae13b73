"""A QGIS style beside each map: the preview's colours from 0 to 1, whatever the map's own range."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from matplotlib.colors import to_hex

from mlssm.errors import DataError
from mlssm.evaluation.cartography import SSM_COLOURS
from mlssm.files import whole_file

STEPS = 11
LABELS = {0.0: "0 (driest seen)", 1.0: "1 (wettest seen)"}


def write_style(path: Path) -> Path:
    """Write the style of a map beside it, under its name with `.qml`, which QGIS takes when it opens the map."""
    style = path.with_suffix(".qml")
    write_xml(style, style_tree())
    return style


def write_xml(path: Path, root: ElementTree.Element) -> None:
    """Write a document; the file has its name when it is whole.

    Raises:
        DataError: It cannot be written.
    """
    try:
        with whole_file(path) as finished:
            ElementTree.ElementTree(root).write(finished, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}); choose another folder or free some space") from error


def style_tree() -> ElementTree.Element:
    """The style: one band in pseudo-colours, linear between `STEPS` stops."""
    root = ElementTree.Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    renderer = ElementTree.SubElement(
        pipe,
        "rasterrenderer",
        type="singlebandpseudocolor",
        band="1",
        opacity="1",
        alphaBand="-1",
        classificationMin="0",
        classificationMax="1",
    )
    shader = ElementTree.SubElement(renderer, "rastershader")
    ramp = ElementTree.SubElement(
        shader,
        "colorrampshader",
        colorRampType="INTERPOLATED",
        classificationMode="1",
        clip="0",
        minimumValue="0",
        maximumValue="1",
    )
    for value in np.linspace(0, 1, STEPS):
        value = round(float(value), 3)
        ElementTree.SubElement(
            ramp,
            "item",
            value=f"{value:g}",
            label=LABELS.get(value, f"{value:g}"),
            color=to_hex(SSM_COLOURS(value)),
            alpha="255",
        )
    return root
