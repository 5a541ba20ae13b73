"""A family that is fed with the weather of cells trains, is scored beside the baselines, and maps."""

from __future__ import annotations

from typing import Any

import pytest
import rasterio

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]  # its parts are tried with those of other families


def test_the_multirate_network_trains_and_maps(trained: Any, tiny: tuple[str, ...]) -> None:
    project, _ = trained
    own = (*(item for item in tiny if not item.startswith("model.")), "model=multirate_convlstm", "model.lag=12")
    run = project.run("train", *own, "model.hidden=4", "model.ratio=4", "tracking.experiment=cells")
    assert run.code == 0, run.stderr
    lines = run.stdout.splitlines()
    assert all(any(line.startswith(f" {name} ") for line in lines) for name in ("Multirate ConvLSTM", "ridge"))
    mapped = project.run(
        "predict", f"run={run.run_id}", "dates=[2021-01-05]", "output=cell_maps", "tracking.experiment=cells"
    )
    assert mapped.code == 0, mapped.stderr
    with rasterio.open(project.folder / "cell_maps" / "ssm_20210105.tif") as source:
        assert source.read(1, masked=True).count() > 0
