"""What a run was trained and scored on, as MLflow datasets: the UI's column, and a filter of the search."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from mlssm.patches.index import SPLITS

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import DatasetInput

    from mlssm.cube import Cube
    from mlssm.data.spec import FeatureSpec

PLACE = ["extent", "time", "row", "col", "pass"]
LABEL = "ssm"
DIGEST = 12  # hexadecimal digits; MLflow takes up to 36


def dataset_inputs(cube: Cube, index: pd.DataFrame, spec: FeatureSpec, root: Path) -> list[DatasetInput]:
    """One dataset a split, named after the area's folder, with the split as its context.

    The digest is that of the cube's inputs and of the split's patches: two runs share it where they were given the
    same data.

    Args:
        cube: The area.
        index: The patch index, see `mlssm.patches.index`.
        spec: The channels.
        root: The extent's folder.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": _relative(root)})
    schema = json.dumps({"mlflow_colspec": [_column(name) for name in (*spec.dynamic, *spec.static, LABEL)]})
    inputs = []
    for split in SPLITS:
        rows = index[index["split"] == split]
        if rows.empty:
            continue
        profile = json.dumps(_profile(cube, rows))
        dataset = Dataset(root.name, _digest(cube.manifest.digest, rows), "local", source, schema, profile)
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split)]))
    return inputs


def _digest(cube_digest: str, rows: pd.DataFrame) -> str:
    """Short enough for the UI's column."""
    places = rows[PLACE].sort_values(PLACE).to_numpy("int64")
    return hashlib.sha256(cube_digest.encode() + places.tobytes()).hexdigest()[:DIGEST]


def _column(name: str) -> dict[str, object]:
    return {"name": name, "type": "float", "required": True}


def _profile(cube: Cube, rows: pd.DataFrame) -> dict[str, Any]:
    days = cube.local_days[rows["time"].unique()]
    labelled = rows[rows["pass"] == 1]  # patches of the second pass overlap these
    return {
        "num_rows": len(rows),
        "patches": len(rows),
        "dates": len(days),
        "first": str(days.min()),
        "last": str(days.max()),
        "labelled_pixels": int(labelled["pixels"].sum()),
        "source_pixel_m": cube.grid.pixel,
        "cube": cube.manifest.digest,
        "files": source_counts(list(cube.manifest.files)),
        "skipped": len(cube.manifest.skipped),
    }


def source_counts(files: Sequence[str]) -> dict[str, int]:
    """Number of files in each folder of an extent; a file beside the folders counts by its own name."""
    return dict(sorted(Counter(PurePosixPath(name).parts[0] for name in files).items()))


def _relative(root: Path) -> str:
    """The folder as seen from the working directory where it lies below, else as it was given."""
    below = root.is_absolute() and root.is_relative_to(Path.cwd())
    return (root.relative_to(Path.cwd()) if below else root).as_posix()
