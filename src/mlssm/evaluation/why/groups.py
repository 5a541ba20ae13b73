"""Input channels by driver: what is moved together when it is asked what a network goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from mlssm.data.batch import Batch
from mlssm.data.prefit import BASE
from mlssm.data.spec import FeatureSpec
from mlssm.variables import AVAILABLE, Kind, named, source_of

Axis: TypeAlias = Literal["dates", "places"]
AXES: tuple[Axis, ...] = ("dates", "places")
ALL_OF: dict[Axis, str] = {"dates": "all that changes with the date", "places": "all that differs between places"}
TITLES = {
    BASE: "closed form (base)",
    "memory": "memory of the pixel",
    "previous": "earlier images",
    "vapour_pressure": "vapour pressure",
}
# along which a channel of a kind may be permuted; weather is smooth, and differs little between places
OF_KIND: dict[Kind, tuple[Axis, ...]] = {
    "daily": ("dates",),
    "fixed": ("places",),
    "classes": ("places",),
    "dated": AXES,
    "age": AXES,
    "prefit": AXES,
}
SAME_ON_ALL_DATES = "memory"  # a prefit group that does not change between the dates of a test split


@dataclass(frozen=True)
class Group:
    """Channels that belong together: a variable, its availability, the classes of a soil map.

    Attributes:
        name: In words.
        dynamic: Positions among the dynamic channels.
        static: Positions among the static channels.
        axes: Along which it may be permuted: over the dates, if it changes with them, and over the places.
    """

    name: str
    dynamic: tuple[int, ...]
    static: tuple[int, ...]
    axes: tuple[Axis, ...]

    def moved(self, batch: Batch, donor: tuple[Tensor, Tensor]) -> Batch:
        """The batch with these channels of a donor's inputs, which are of the same shape; neither is changed."""
        return batch._replace(
            dynamic=_taken(batch.dynamic, donor[0], self.dynamic, 2),
            static=_taken(batch.static, donor[1], self.static, 1),
        )


def groups_of(spec: FeatureSpec) -> tuple[Group, ...]:
    """The groups of a model's channels, each channel in one of them, in the order of the channels."""
    keys = dict.fromkeys(key_of(name) for name in (*spec.dynamic, *spec.static))
    return tuple(_group(spec, key) for key in keys)


def joint_groups(groups: Sequence[Group]) -> dict[Axis, Group]:
    """By axis, all groups that may be permuted along it as one: what correlated ones come to together."""
    return {axis: _joined(axis, groups) for axis in AXES}


def key_of(channel: str) -> str:
    """What a channel is grouped under: its source; an availability's is that of what it tells of."""
    return source_of(channel.removesuffix(AVAILABLE))


def _group(spec: FeatureSpec, key: str) -> Group:
    of_key = [name for name in (*spec.dynamic, *spec.static) if key_of(name) == key]
    kinds = {named(name).kind for name in of_key if not name.endswith(AVAILABLE)}
    axes = {axis for kind in kinds for axis in OF_KIND[kind]} - ({"dates"} if key == SAME_ON_ALL_DATES else set())
    return Group(
        TITLES.get(key, key.replace("_", " ")),
        tuple(place for place, name in enumerate(spec.dynamic) if name in of_key),
        tuple(place for place, name in enumerate(spec.static) if name in of_key),
        tuple(axis for axis in AXES if axis in axes),
    )


def _joined(axis: Axis, groups: Sequence[Group]) -> Group:
    there = [group for group in groups if axis in group.axes]
    dynamic = tuple(place for group in there for place in group.dynamic)
    static = tuple(place for group in there for place in group.static)
    return Group(ALL_OF[axis], dynamic, static, (axis,))


def _taken(values: Tensor, donor: Tensor, positions: Sequence[int], dimension: int) -> Tensor:
    """`values` with those of the donor at some positions of a dimension."""
    if not positions:
        return values
    index = torch.tensor(positions)
    return values.index_copy(dimension, index, donor.index_select(dimension, index))
