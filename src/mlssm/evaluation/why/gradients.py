"""Integrated gradients: how much of a prediction each input accounts for (Sundararajan, Taly & Yan 2017, ICML 70).

The path goes from an input of which nothing is known (the training mean of every channel, availability 0) to the input
itself; the attributions add up to the difference of the two predictions (completeness), in SSM units.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor, nn

from mlssm.data.dataset import PatchDataset
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError
from mlssm.evaluation.stream import batches
from mlssm.evaluation.why.groups import groups_of

AT_ONCE = 64  # points of the path times patches that are held at once
Part: TypeAlias = tuple[str, int | None]  # a group, and days before the last one of the window; None: for all of it
COLUMNS = ("inputs", "days_before", "mean", "mean_absolute")


@dataclass(frozen=True)
class Attribution:
    """What each input adds to the mean of a patch's predicted SSM, SSM units.

    Attributes:
        dynamic: [B, T, dynamic, H, W], oldest step first.
        static: [B, static, H, W].
        total: Prediction less that of the baseline [B]; what the others add up to.
    """

    dynamic: Tensor
    static: Tensor
    total: Tensor

    @property
    def missing(self) -> Tensor:
        """By how much the attributions fail to add up [B]: an error of the integration, which more steps lower."""
        return self.dynamic.flatten(1).sum(1) + self.static.flatten(1).sum(1) - self.total


def check_captum() -> None:
    """Refuse gradients where they cannot be had, before anything is trained.

    Raises:
        ConfigError: captum is not installed.
    """
    try:
        import captum.attr  # noqa: F401
    except ImportError:
        raise ConfigError(
            "evaluation.why.gradients=true needs captum, which is not installed: pip install 'mlssm[why]', or set "
            "evaluation.why.gradients=false"
        ) from None


def integrated_gradients(
    network: nn.Module, dynamic: Tensor, static: Tensor, like: Tensor, *, steps: int
) -> Attribution:
    """Attribute the mean SSM of the labelled middle of each patch to its inputs.

    Args:
        network: In evaluation mode, on its device.
        dynamic: Scaled, [B, T, dynamic, H, W].
        static: Scaled, [B, static, H, W].
        like: [B, 1, h, w], the pixels in the middle whose mean is explained.
        steps: Points of the path (Gauss-Legendre).
    """
    from captum.attr import IntegratedGradients

    held = next(itertools.chain(network.parameters(), network.buffers()), dynamic)
    inputs = dynamic.to(held.device), static.to(held.device)
    baselines = tuple(torch.zeros_like(values) for values in inputs)

    def mean_ssm(*values: Tensor) -> Tensor:
        found: Tensor = network(*values).middle(like).mean.flatten(1).mean(1)
        return found

    network.eval()
    method = IntegratedGradients(mean_ssm)
    at_once = max(AT_ONCE, len(dynamic))
    found = method.attribute(inputs, baselines, n_steps=steps, method="gausslegendre", internal_batch_size=at_once)
    with torch.no_grad():
        total = mean_ssm(*inputs) - mean_ssm(*baselines)
    of_dynamic, of_static = (values.detach().float().cpu() for values in found)
    return Attribution(of_dynamic, of_static, total.cpu())


def by_driver_and_day(
    network: nn.Module, dataset: PatchDataset, spec: FeatureSpec, batch_size: int, steps: int
) -> pd.DataFrame:
    """What drivers add to the mean SSM of patches, each day of the window apart.

    Args:
        network: The trained network.
        dataset: The patches.
        spec: Its channels.
        batch_size: Patches at once.
        steps: Points of the path.

    Returns:
        A row a group of inputs and day: `inputs`, `days_before` the last day of the window (NaN for what holds for all
        of it), `mean` and `mean_absolute` over the patches, SSM units.
    """
    parts: list[dict[Part, Tensor]] = []
    for batch, _ in batches(dataset, batch_size):
        found = integrated_gradients(network, batch.dynamic, batch.static, batch.target, steps=steps)
        parts.append(summed(found, spec))
    rows = []
    for name, day in parts[0]:
        values = torch.cat([part[name, day] for part in parts]).double()
        rows.append((name, day, float(values.mean()), float(values.abs().mean())))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"days_before": float})


def summed(found: Attribution, spec: FeatureSpec) -> dict[Part, Tensor]:
    """Attributions by group and day, summed over channels and pixels; [B] each."""
    sums: dict[Part, Tensor] = {}
    steps = found.dynamic.shape[1]
    for group in groups_of(spec):
        for step in range(steps) if group.dynamic else ():
            sums[group.name, steps - 1 - step] = found.dynamic[:, step, group.dynamic].flatten(1).sum(1)
        if group.static:
            sums[group.name, None] = found.static[:, group.static].flatten(1).sum(1)
    return sums
