"""What several processes do together, and one process does with the joined batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mlssm.config import LossConfig
from mlssm.data.batch import Batch
from mlssm.data.plan import Drawing, SamplingPlan
from mlssm.data.sampler import PatchSampler
from mlssm.models.convlstm import ConvLSTM
from mlssm.scores.sums import MeanLoss, ScoreSums
from mlssm.training.losses import TrainingLoss

PATCHES, STEPS, DATES, BINS = 7, 4, 3, 5
LOSSES = {
    "huber": LossConfig(name="huber", delta=0.2),
    "mse": LossConfig(name="mse"),
    "balanced_mse": LossConfig(name="balanced_mse", noise=0.15),
    "learnt noise": LossConfig(name="balanced_mse", noise=0.15, learn_noise=True),
    "nll": LossConfig(name="nll"),
}
# nothing labelled in the second process's patches, in none at all
LABELLED = {"unequal": slice(0, PATCHES), "one without": slice(0, PATCHES // 3), "none": slice(0, 0)}
CASES = tuple(itertools.product(LOSSES, (False, True), LABELLED))
COUNTS = (17, 18, 2)


class Learner(nn.Module):
    """A network and its loss, as the LightningModule joins them."""

    def __init__(self, name: str, reweighted: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        once = Drawing.once(PATCHES)
        labels = np.random.default_rng(0).dirichlet(np.ones(20))
        plan = SamplingPlan(once, once.expected, reweighted, np.ones(PATCHES, np.float32), labels)
        self.network = ConvLSTM(2, 1, (3,), 3, False, 0.0, spread=name == "nll")
        self.loss = TrainingLoss(LOSSES[name], plan)
        self.double()

    def forward(self, batch: Batch) -> Tensor:
        loss: Tensor = self.loss(self.network, batch)
        return loss


def joined_batch(step: int, labelled: str) -> Batch:
    """The batch of all processes: ever fewer labels from patch to patch."""
    generator = torch.Generator().manual_seed(step)
    dynamic = torch.randn(PATCHES, 2, 2, 5, 4, generator=generator, dtype=torch.float64)
    static = torch.randn(PATCHES, 1, 5, 4, generator=generator, dtype=torch.float64)
    target, draw, error = torch.rand(3, PATCHES, 1, 5, 4, generator=generator, dtype=torch.float64)
    share = torch.linspace(0.9, 0.1, PATCHES, dtype=torch.float64)
    valid = draw < share.reshape(-1, 1, 1, 1)
    there = torch.zeros(PATCHES, dtype=torch.bool)
    there[LABELLED[labelled]] = True
    valid &= there.reshape(-1, 1, 1, 1)
    target = torch.where(valid, target, torch.nan)
    date = torch.arange(PATCHES) % DATES
    return Batch(dynamic, static, target, valid, error / 5, date, share * 3, target + error / 5, error)


def part(batch: Batch, rank: int, world: int) -> Batch:
    """A process's patches: the first ones, with more labels, are the first process's; the last ones' batch is short."""
    size = -(-PATCHES // world)
    return Batch(*(values[rank * size : (rank + 1) * size] for values in batch))


def learn(name: str, reweighted: bool, labelled: str, rank: int = 0, world: int = 1) -> dict[str, list[Tensor]]:
    """The first step's gradients, and the weights after some steps."""
    learner = Learner(name, reweighted)
    model = DistributedDataParallel(learner) if world > 1 else learner
    optimiser = torch.optim.AdamW(learner.parameters(), lr=0.05)
    gradients: list[Tensor] = []
    for step in range(STEPS):
        optimiser.zero_grad()
        model(part(joined_batch(step, labelled), rank, world)).backward()
        gradients = gradients or [weight.grad.clone() for weight in learner.parameters()]
        optimiser.step()
    return {"gradients": gradients, "weights": [weight.detach() for weight in learner.parameters()]}


def score(rank: int = 0, world: int = 1) -> dict[str, Any]:
    """The validation sums, and the mean loss with the state that a checkpoint keeps of it."""
    sums, mean = ScoreSums(DATES, BINS), MeanLoss()
    learner = Learner("huber", False)
    for step in range(STEPS):
        batch = part(joined_batch(step, "unequal"), rank, world)
        with torch.no_grad():
            prediction = learner.network(batch.dynamic, batch.static).ssm
            mean.update(*learner.loss.of_batch(learner.network, batch))
        sums.update(prediction, batch.target, batch.valid, batch.standard_error, batch.attainable, batch.date)
    joined = mean.joined("mean_loss.")
    resumed, copy = MeanLoss(), dict(joined)
    resumed.keep_on_first(copy, "mean_loss.", rank)
    resumed.load_state_dict({name.removeprefix("mean_loss."): value for name, value in copy.items()})
    resumed.update(torch.tensor(0.0), torch.tensor(0))
    own = {"total": mean.total.clone(), "count": mean.count.clone()}
    return {"sums": sums.compute(), "mean": mean.compute(), "joined": joined, "resumed": resumed.compute(), "own": own}


def positions() -> Iterator[list[int]]:
    """What this process reads: each count's validation, and two epochs of its training."""
    for count in COUNTS:
        yield list(PatchSampler(count, shuffle=False, seed=3))
        sampler = PatchSampler(count, shuffle=True, seed=3)
        for epoch in range(2):
            sampler.set_epoch(epoch)
            yield list(sampler)


def main(folder: Path, rank: int, world: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=world)
    learnt = {case: learn(*case, rank, world) for case in CASES}
    found = {"learnt": learnt, "score": score(rank, world), "positions": list(positions())}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*globals()["PLACE"])
