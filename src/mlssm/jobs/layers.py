"""The layers that a model wants of an area: where they are read from, and by whose code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlssm.config import LayerSource, parse_layer
from mlssm.config.area_file import area_layers
from mlssm.config.layers import is_of_library
from mlssm.errors import ConfigError, RunError

Layers = Mapping[str, LayerSource]


def layers_to_read(trained: Layers, given: Mapping[str, Mapping[str, Any]], root: Path) -> dict[str, LayerSource]:
    """A model's layers, with the keys that the area's `area.yaml`, and then the command line, give in their place.

    A model may come from anywhere, and must not choose code to run: a class that torchgeo does not bring has to be
    named on the command line.

    Args:
        trained: As the model has them.
        given: Keys of some of them.
        root: The area's folder.

    Raises:
        ConfigError: The command line names a layer that the model has not, or a key is wrong.
        RunError: The model names other code, or its layer is not there.
    """
    if unknown := [name for name in given if name not in trained]:
        raise ConfigError(f"layers.{unknown[0]}: the model has no such layer; it has {', '.join(trained) or 'none'}")
    found, said = {}, area_layers(root)
    for name, source in trained.items():
        own = given.get(name, {})
        values = {**source.model_dump(mode="json", by_alias=True), **said.get(name, {}), **own}
        found[name] = parse_layer(f"layers.{name}", values)
        _refuse_code_of_a_model(name, found[name], own)
        if missing := [path for path in found[name].paths if not (root / path).exists()]:
            raise RunError(
                f"the model was trained with the layer {name}, and {root / missing[0]} is not there; add it, give its "
                f"place with layers.{name}.paths=[...], or train without it"
            )
    return found


def _refuse_code_of_a_model(name: str, source: LayerSource, own: Mapping[str, Any]) -> None:
    if source.target is None or is_of_library(source.target) or "_target_" in own:
        return
    raise RunError(
        f"the model names {source.target} as the class of its layer {name}, and no code is run where a model says; "
        f"if it is yours, give layers.{name}._target_={source.target}"
    )
