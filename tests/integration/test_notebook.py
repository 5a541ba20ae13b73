"""docs/first_map.ipynb runs, and is kept without outputs."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = REPOSITORY / "docs" / "first_map.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_small_and_without_outputs() -> None:
    assert NOTEBOOK.stat().st_size < 100_000
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_it_runs_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = str(REPOSITORY / "src")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the notebook's own shows pictures
    done = NotebookClient(read(), timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [each for cell in done.cells if cell.cell_type == "code" for each in cell.outputs]
    pictures = [each for each in outputs if "image/png" in each.get("data", {})]
    assert len(pictures) == 3
    (scores,) = [
        each["data"]["text/plain"] for each in outputs if "r2_cap" in each.get("data", {}).get("text/plain", "")
    ]
    assert ast.literal_eval(scores)["corr"] > 0.5
    assert list((tmp_path / "mlruns").glob("*.db"))
