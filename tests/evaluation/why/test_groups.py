from typing import get_args

import torch

from mlssm.data.batch import Batch
from mlssm.data.spec import FeatureSpec
from mlssm.evaluation.why.groups import ALL_OF, AXES, OF_KIND, groups_of, joint_groups
from mlssm.variables import Kind

DYNAMIC = ("precipitation", "wind", "precipitation_available", "wind_available")
STATIC = ("elevation", "slope", "soil_1", "soil_2", "soil_available", "ndvi", "ndvi_age", "ndvi_available")
PREFIT = ("base", "mean_ssm", "response", "span", "spread", "previous_residual", "previous_mean", "previous_age")
SPEC = FeatureSpec(DYNAMIC, STATIC + PREFIT, (0.0,) * 20, (1.0,) * 20)
TERRAIN, NDVI = "terrain", "ndvi"


def test_every_channel_is_in_one_group() -> None:
    groups = groups_of(SPEC)
    assert sorted(place for group in groups for place in group.dynamic) == list(range(4))
    assert sorted(place for group in groups for place in group.static) == list(range(16))
    names = [group.name for group in groups]
    assert names == [
        *("precipitation", "wind", TERRAIN, "soil", NDVI),
        *("closed form (base)", "memory of the pixel", "earlier images"),
    ]


def test_each_is_permuted_along_what_it_changes_with() -> None:
    axes = {group.name: group.axes for group in groups_of(SPEC)}
    assert axes["wind"] == ("dates",)
    assert axes[TERRAIN] == axes["soil"] == axes["memory of the pixel"] == ("places",)
    assert axes[NDVI] == axes["closed form (base)"] == axes["earlier images"] == AXES
    assert set(OF_KIND) == set(get_args(Kind)), "every kind of channel"


def test_joint_groups_hold_all_that_is_permuted_along_an_axis() -> None:
    joint = joint_groups(groups_of(SPEC))
    assert {axis: group.name for axis, group in joint.items()} == ALL_OF
    assert len(joint["dates"].dynamic) == 4
    assert {SPEC.static[place] for place in joint["dates"].static} == {
        *("ndvi", "ndvi_age", "ndvi_available", "base", "previous_residual", "previous_mean", "previous_age"),
    }
    assert (joint["places"].dynamic, len(joint["places"].static)) == ((), 16)


def test_moving_takes_the_group_alone_and_leaves_the_batch() -> None:
    one = torch.ones(2, 1, 3, 3)
    dynamic, static = torch.zeros(2, 5, 4, 3, 3), torch.zeros(2, 16, 3, 3)
    batch = Batch(dynamic, static, one, one.bool(), one, torch.zeros(2), torch.ones(2), one, one)
    wind = next(group for group in groups_of(SPEC) if group.name == "wind")
    moved = wind.moved(batch, (dynamic + 7, static + 7))
    assert moved.dynamic.sum((0, 1, 3, 4)).tolist() == [0, 7 * 2 * 5 * 9, 0, 7 * 2 * 5 * 9]
    assert moved.static.sum() == 0
    assert batch.dynamic.sum() == 0
