"""Threads that predict share a CPU, and take turns on an accelerator."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from mlssm.models import prediction
from mlssm.models.prediction import Prediction, predict


class Counting(nn.Module):
    """Counts how many threads ask it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most, self.lock = 0, 0, threading.Lock()

    def forward(self, dynamic: Tensor, static: Tensor) -> Prediction:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.03)
        with self.lock:
            self.now -= 1
        return Prediction(static[:, :1])


def most_at_once() -> int:
    network, inputs = Counting(), torch.zeros(1, 1, 2, 2)
    with ThreadPoolExecutor(4) as threads:
        for said in threads.map(lambda _: predict(network, inputs[None], inputs), range(8)):
            assert torch.equal(said.mean, inputs)
    return network.most


def test_threads_share_a_cpu() -> None:
    assert most_at_once() > 1


def test_threads_take_turns_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    own = prediction.in_turn
    monkeypatch.setattr(prediction, "in_turn", lambda _: own(torch.device("cuda")))
    assert most_at_once() == 1
