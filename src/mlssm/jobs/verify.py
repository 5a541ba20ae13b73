"""Whether cubes, and the multilooks beside them, hold what was written into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlssm.errors import DataError
from mlssm.manifest import damaged_files
from mlssm.retrieval.stack import damaged_stacks

CURE = "copy it again, or delete the cube, and it is made anew"


def verify(paths: Sequence[Path]) -> int:
    """Read every file of cubes and print a line for each that is not as it was written, or one that all are.

    Args:
        paths: Cubes, or folders of cubes.

    Returns:
        How many lines tell of damage.

    Raises:
        DataError: A path is neither a cube nor a folder of some.
    """
    faults = 0
    for cube in [found for path in paths for found in _cubes(path)]:
        lines = list(_lines(cube))
        faults += len(lines)
        print("\n".join(lines) or f"{cube}: all files are as they were written", flush=True)
    return faults


def _cubes(path: Path) -> list[Path]:
    if (path / "zarr.json").is_file():
        return [path]
    found = sorted(path.glob("*.zarr"))
    if not found:
        raise DataError(f"{path} is neither a cube nor a folder with one; name the .zarr folder of a cube")
    return found


def _lines(cube: Path) -> Iterator[str]:
    try:
        for name, fault in damaged_files(cube).items():
            yield f"{cube / name} {fault}; {CURE}"
        for path, fault in damaged_stacks(cube):
            yield f"{path} {fault}; delete {path.parent}, and it is made anew"
    except DataError as error:
        yield str(error)
