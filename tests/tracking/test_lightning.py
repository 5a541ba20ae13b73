import os

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from mlssm.errors import DataError
from mlssm.tracking.lifecycle import tracked_run
from mlssm.tracking.lightning import lightning_logger
from mlssm.tracking.run import TrackedRun


class Line(pl.LightningModule):
    """One weight; it fails in the epoch that it is told to."""

    def __init__(self, fails_in_epoch: int = -1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_index):
        if self.current_epoch == self.hparams.fails_in_epoch:
            raise DataError("tile.tif is truncated")
        loss = self.layer(batch[0]).square().mean()
        self.log("train/loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, batch_index):
        self.log("val/natural/rmse", self.layer(batch[0]).square().mean().sqrt())

    def test_step(self, batch, batch_index):
        self.log("test/natural/rmse", self.layer(batch[0]).square().mean().sqrt())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def trainer(run: TrackedRun) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=lightning_logger(run),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )


def loader() -> DataLoader:
    return DataLoader(TensorDataset(torch.ones(4, 1)), batch_size=2)


WORKERS = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


@WORKERS
def test_metrics_arrive_on_the_run_which_goes_on_after_fit_and_test(store):
    with tracked_run(store, "lag=3", {"lag": 3}, {}) as run:
        fit = trainer(run)
        fit.fit(Line(), loader(), loader())
        fit.test(Line(), loader(), verbose=False)
        during = store.client.get_run(run.run_id)
        assert (during.info.status, during.info.end_time) == ("RUNNING", None)
    runs = store.client.search_runs([store.experiment_id])
    assert [(item.info.run_name, item.info.status) for item in runs] == [("lag=3", "FINISHED")]
    assert runs[0].data.params == {"lag": "3"}
    assert runs[0].data.metrics.keys() == {"train/loss", "val/natural/rmse", "test/natural/rmse", "epoch"}
    assert len(store.client.get_metric_history(run.run_id, "val/natural/rmse")) == 2
    assert "MLFLOW_TRACKING_URI" not in os.environ


@WORKERS
def test_a_training_that_fails_ends_as_failed_with_its_error(store):
    with pytest.raises(DataError, match="truncated"), tracked_run(store, "a", {}, {}) as run:
        trainer(run).fit(Line(fails_in_epoch=1), loader(), loader())
    done = store.client.get_run(run.run_id)
    assert done.info.status == "FAILED"
    assert len(store.client.get_metric_history(run.run_id, "train/loss")) == 1


def test_only_the_first_rank_writes(store, monkeypatch):
    with tracked_run(store, "a", {}, {}) as run:
        logger = lightning_logger(run)
        monkeypatch.setattr("pytorch_lightning.utilities.rank_zero_only.rank", 1)
        logger.log_metrics({"loss": 1.0}, 0)
        monkeypatch.setattr("pytorch_lightning.utilities.rank_zero_only.rank", 0)
        logger.log_metrics({"loss": 2.0}, 1)
    assert [item.value for item in store.client.get_metric_history(run.run_id, "loss")] == [2.0]
    assert (logger.name, logger.version) == (store.experiment_id, run.run_id)
