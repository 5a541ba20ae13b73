"""Seconds of a training step of the ConvLSTM: all steps' gates at once as before, step by step, and torchgeo's network.

    python benchmarks/training_step.py [rounds]

A step is forward, loss and backward. The three take turns in one process, so that a busy machine slows all of them.
Outputs and gradients of the first two are compared as well.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchgeo.models import ConvLSTM as TorchgeoConvLSTM
from turns import fastest

from mlssm.models.convlstm import ConvLSTM, ConvLSTMCell, State

DYNAMIC, STATIC, KERNEL = 5, 8, 3
ROUNDS = 7


class Size(NamedTuple):
    """Of a batch, and of the network's layers."""

    batch: int
    lag: int
    pixels: int
    hidden: tuple[int, ...]


SIZES = (
    Size(16, 1, 20, (16,)),
    Size(16, 10, 20, (16,)),
    Size(16, 30, 20, (16,)),
    Size(16, 10, 20, (32, 32)),
    Size(16, 10, 64, (16,)),
    Size(4, 10, 128, (16,)),
    Size(4, 10, 64, (32, 32)),
)


class AllAtOnce(ConvLSTMCell):
    """The cell as it was: one call of the input convolution makes the gates of all steps."""

    def unroll(self, frames: Tensor, static_gates: Tensor | None = None) -> list[State]:
        """From the zero state, without peepholes."""
        gates = self.input_convolution(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        if static_gates is not None:
            gates.add_(static_gates)
        state, states = self.initial_state(gates), []
        for step in gates:
            i, f, g, o = (step + self.hidden_convolution(state.hidden)).chunk(4, dim=1)
            cell = torch.sigmoid(f) * state.cell + torch.sigmoid(i) * torch.tanh(g)
            state = State(torch.sigmoid(o) * torch.tanh(cell), cell)
            states.append(state)
        return states


class Torchgeo(nn.Module):
    """torchgeo's layers, fed with static features at every step as it has no other way, and our head."""

    def __init__(self, hidden: tuple[int, ...]) -> None:
        """Layers of these sizes."""
        super().__init__()
        self.layers = TorchgeoConvLSTM(DYNAMIC + STATIC, list(hidden), KERNEL, len(hidden))
        self.head = nn.Conv2d(hidden[-1], 1, 1)

    def forward(self, dynamic: Tensor, static: Tensor) -> Tensor:
        """A map in 0..1."""
        repeated = static[:, None].expand(-1, dynamic.shape[1], -1, -1, -1)
        (states,), _ = self.layers(torch.cat([dynamic, repeated], dim=2))
        return torch.sigmoid(self.head(states[:, -1]))


def build(size: Size) -> dict[str, nn.Module]:
    """The three networks; the first two with the same weights."""
    new, old = (ConvLSTM(DYNAMIC, STATIC, size.hidden, KERNEL, peepholes=False, dropout=0.0) for _ in range(2))
    for cell in old.cells:
        cell.__class__ = AllAtOnce
    old.load_state_dict(new.state_dict())
    return {"before": old, "step by step": new, "torchgeo": Torchgeo(size.hidden)}


def step(network: nn.Module, dynamic: Tensor, static: Tensor, target: Tensor) -> Tensor:
    """Forward, loss and backward; gives the map."""
    network.zero_grad()
    found = network(dynamic, static)
    mean: Tensor = found if isinstance(found, Tensor) else found.mean
    torch.nn.functional.mse_loss(mean, target).backward()
    return mean.detach()


def check(networks: dict[str, nn.Module], batch: tuple[Tensor, Tensor, Tensor]) -> None:
    """Outputs and gradients of both ways are the same."""
    old, new = networks["before"], networks["step by step"]
    torch.testing.assert_close(step(old, *batch), step(new, *batch), rtol=0, atol=1e-6)
    for before, after in zip(old.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(before.grad, after.grad, rtol=1e-4, atol=1e-6)


def main(rounds: str = str(ROUNDS)) -> None:
    """Print a line for each size."""
    torch.manual_seed(0)
    for size in SIZES:
        networks, side = build(size), (size.pixels, size.pixels)
        dynamic, static = torch.randn(size.batch, size.lag, DYNAMIC, *side), torch.randn(size.batch, STATIC, *side)
        batch = dynamic, static, torch.rand(size.batch, 1, *side)
        check(networks, batch)
        ways = {name: partial(step, network, *batch) for name, network in networks.items()}
        found = fastest(ways, int(rounds))
        new = found["step by step"]
        print(
            f"batch {size.batch:2} lag {size.lag:2} {size.pixels:3} px hidden {size.hidden!s:9}"
            f" {new * 1000:7.1f} ms; before / now {found['before'] / new:4.2f},"
            f" torchgeo / now {found['torchgeo'] / new:4.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
