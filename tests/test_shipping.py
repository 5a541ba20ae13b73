"""Objects with large arrays come out of their folder as they went in, and their arrays are files."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm import shipping
from mlssm.scratch import _MAPPINGS, scratch
from mlssm.shipping import Shipment, opened


@dataclass(frozen=True)
class Maps:
    """Arrays of all kinds."""

    arrays: dict[str, Any]
    name: str = "maps"


@pytest.fixture
def maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maps:
    monkeypatch.setattr("mlssm.scratch.LARGE", 2**20)
    random = np.random.default_rng(0)
    large = scratch((4, 600, 500), np.float32)
    large[...] = random.random(large.shape)
    assert isinstance(large, np.memmap)
    np.save(tmp_path / "stack.npy", random.integers(0, 9, (3, 800, 500)))
    stack = np.load(tmp_path / "stack.npy", mmap_mode="r")
    seen_as_many = np.broadcast_to(random.random((3, 1, 1)), (3, 600, 700))
    return Maps({
        **{"small": np.arange(5), "large": large, "part": large[1:3, ::2], "memory": random.random((500, 400))},
        **{"stack": stack, "rows": stack[1], "column": stack[:, :, 3:], "many": seen_as_many},
    })  # fmt: skip


def test_arrays_are_files_that_come_out_as_they_went_in(maps: Maps, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    shipment = Shipment(folder)
    found = opened(shipment.send(maps))
    assert found.name == "maps"
    assert list(found.arrays) == list(maps.arrays)
    for name, array in maps.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
        assert found.arrays[name].dtype == array.dtype
    for name in ("large", "part", "memory", "stack", "rows", "column"):
        assert isinstance(found.arrays[name], np.memmap), name
        assert found.arrays[name]._mmap in _MAPPINGS, "what is mapped is let go with all else"
    assert Path(found.arrays["stack"].filename) == tmp_path / "stack.npy", "what is a file is no second one"
    assert sum(path.stat().st_size for path in folder.glob("*.pickle")) < 20_000
    assert found.arrays["many"].strides == (8, 0, 0)


def test_an_array_of_several_objects_is_written_once(maps: Maps, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    shipment = Shipment(folder)
    shipment.send({"large": maps.arrays["large"]})
    before = {*folder.glob("*.npy")}
    path = shipment.send([maps.arrays["large"], maps.arrays["large"]])
    assert {*folder.glob("*.npy")} == before
    one, other = opened(path)
    assert one is other


def test_another_process_opens_it(tmp_path: Path) -> None:
    large = np.arange(2**18, dtype=float)
    path = Shipment(tmp_path).send({"large": large})
    asked = f"opened(Path({str(path)!r}))['large'].sum()"
    code = f"from pathlib import Path; from mlssm.shipping import opened; print({asked})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == large.sum()


def test_a_process_opens_the_last_one_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipment = Shipment(tmp_path)
    one, other = shipment.send([1]), shipment.send([2])
    assert opened(one) is opened(one)
    assert opened(other) == [2]
    assert shipping.opened.cache_info().maxsize == 1
