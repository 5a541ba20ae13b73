import multiprocessing
import os
import signal
import sys
import time
import warnings

import pytest
import pytorch_lightning as pl
import torch

from mlssm.signals import Stopped, caught, exit_status, interrupt_of
from mlssm.training.trainer import OwnSignals


def tell_to_end(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_is_an_interrupt_and_the_process_is_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match=f"stopped by {number.name}") as raised, caught():
        tell_to_end(number)
    assert exit_status(raised.value) == 128 + number
    assert signal.getsignal(number) is before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with caught():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_same_signal_again_does_not_disturb_the_end() -> None:
    ended = []

    def end() -> None:
        try:
            tell_to_end(signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # a scheduler's repeated one
            ended.append(True)

    with pytest.raises(Stopped), caught():
        end()
    assert ended


def test_a_copy_of_the_process_dies_by_the_signal() -> None:
    with caught():
        child = os.fork()
        if child == 0:
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)  # not reached
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGTERM


def exit_as_lightning_does() -> None:
    try:
        raise Stopped(signal.SIGTERM)
    except KeyboardInterrupt:
        sys.exit(1)


def test_the_interrupt_is_found_behind_what_came_of_it() -> None:
    with pytest.raises(SystemExit) as raised:
        exit_as_lightning_does()
    assert isinstance(interrupt_of(raised.value), Stopped)
    assert interrupt_of(ValueError("a")) is None
    assert interrupt_of(None) is None
    assert exit_status(KeyboardInterrupt()) == 130


class SignalsInTraining(pl.LightningModule):
    """Tells its own process to end in its first step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, number):
        os.kill(os.getpid(), signal.SIGTERM)
        return self.layer(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def train_until_told() -> None:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    warnings.simplefilter("ignore")
    try:
        with caught():
            trainer = pl.Trainer(max_epochs=3, accelerator="cpu", callbacks=[OwnSignals()], **quiet)
            trainer.fit(SignalsInTraining(), torch.utils.data.DataLoader(torch.ones(4, 1)))
    except BaseException as end:
        sys.exit(exit_status(interrupt_of(end)))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_lightnings_handler_does_not_take_the_place_of_ours() -> None:
    process = multiprocessing.get_context("fork").Process(target=train_until_told)
    process.start()
    process.join(60)
    assert process.exitcode == 143
