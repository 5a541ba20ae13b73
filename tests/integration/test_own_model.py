"""A family of models from outside the package: one file and one YAML, and everything else works with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from mlssm.inference.serving import SoilMoistureModel, example

pytestmark = pytest.mark.slow

OUTSIDE = Path(__file__).resolve().parents[1] / "models" / "outside"
OWN = (f"hydra.searchpath=[file://{OUTSIDE / 'conf'}]", "model=linear", "tracking.experiment=own")


@pytest.fixture
def linear(tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Overrides of a quick training of the family, which is on the path as an installed package would be."""
    monkeypatch.syspath_prepend(str(OUTSIDE))
    return (*(item for item in tiny if not item.startswith(("model.hidden", "model.window"))), *OWN)


@pytest.mark.exhaustive
def test_it_trains_goes_on_serves_and_maps(
    trained: Any, linear: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project, _ = trained
    whole = project.run("train", *linear, figures="made")
    assert whole.code == 0, whole.stderr
    assert any(line.startswith(" Linear ") for line in whole.stdout.splitlines())
    assert "ConvLSTM" not in whole.stdout
    client = project.client
    model = SoilMoistureModel.load(Path(client.download_artifacts(whole.run_id, "model", str(tmp_path))))
    assert model.restored.bundle.model.title == "Linear"
    assert (model.steps, type(model.restored.network).__name__) == (2, "Linear")
    inputs = example(model.restored.bundle.channels, model.restored.bundle.window)
    for weights in model.restored.network.parameters():
        weights.data *= 1e6
    assert set(np.unique(model.predict(inputs))) <= {0.0, 1.0}  # without a bounded head it is brought to 0..1
    short = project.run("train", *linear, "trainer.max_epochs=1")
    assert short.code == 0, short.stderr
    further = project.run("train", f"resume={short.run_id}", *OWN[:1], "trainer.max_epochs=2", *OWN[2:])
    assert further.code == 0, further.stderr
    first, second = (client.get_run(run).data.metrics["test/natural/rmse"] for run in (whole.run_id, short.run_id))
    assert first == second
    mapped = project.run("predict", f"run={whole.run_id}", "dates=[2021-01-05]", "output=own_maps", OWN[2])
    assert mapped.code == 0, mapped.stderr
    with rasterio.open(project.folder / "own_maps" / "ssm_20210105.tif") as source:
        assert source.tags()["model"] == "Linear"
        values = source.read(1, masked=True).compressed() * source.scales[0]
    assert len(values)
    assert ((values >= 0) & (values <= 1)).all()


def test_it_is_refused_a_loss_that_it_cannot_learn_by(trained: Any, linear: tuple[str, ...]) -> None:
    project, _ = trained
    outcome = project.run("train", *linear, "loss=nll")
    assert outcome.code == 1
    assert "Linear states none; set another loss" in outcome.error
