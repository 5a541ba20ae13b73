"""Maps whose making is killed again and again, and goes on by the same command."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rasterio.io import MemoryFile
from tests.forked import Bytes, begun, content

from mlssm.jobs import stream

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of the test's process"),
]
DAYS = "dates=2020-12-02/2020-12-12"  # with a lag of two, chains begin on six of them
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}  # audit events
MOST_KILLS = 40  # enough to come to the products
PATIENCE = 120  # seconds


class Maps:
    """The command, and the folder of its maps."""

    def __init__(self, trained: Any, folder: Path) -> None:
        self.folder = folder
        self._project, self._run = trained[0], trained[1].run_id

    def make(self, dies_at: int | None = None) -> None:
        """Run the command; it is killed as it changes its folder for the n-th time."""
        if dies_at is not None:
            die_at_change(self.folder, dies_at)
        done = self._project.run("predict", f"run={self._run}", DAYS, f"output={self.folder}", "dask.workers=2")
        assert done.code == 0, done.stderr

    @property
    def has_begun(self) -> bool:
        """Whether tiles are being made."""
        return any(self.folder.glob(f"{stream.UNFINISHED}*"))


def die_at_change(folder: Path, number: int) -> None:
    """Kill this process just before it changes what is in a folder for the n-th time."""
    left = [number]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES and not (event == "open" and set(str(arguments[1])) & set("wxa")):
            return
        place = str(arguments[0])
        if place.startswith(str(folder)) or os.sep not in place:  # a tree is removed by the names of what is in it
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)


@pytest.fixture(scope="module", autouse=True)
def small_parts() -> Any:
    """Four tiles and three blocks of days, so that there is a middle to be killed in."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(stream, "TILE", 12)
        patched.setattr(stream, "CARRIED_BLOCK", 4)
        yield


@pytest.fixture(scope="module")
def whole(trained: Any, small_parts: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bytes, float]:
    """What a command that nothing disturbed leaves, and how many seconds it takes from its first tile on."""
    maps = Maps(trained, tmp_path_factory.mktemp("whole"))
    process = begun(maps.make)
    started = wait_until_begun(maps, process)
    process.join(PATIENCE)
    assert process.exitcode == 0
    return content(maps.folder), time.monotonic() - started


def wait_until_begun(maps: Maps, process: Any) -> float:
    """When the command began with its tiles, or ended without any."""
    while process.is_alive() and not maps.has_begun:
        time.sleep(0.005)
    return time.monotonic()


def test_a_state_is_carried_over_the_beginnings_of_several_chains(
    trained: Any, whole: tuple[Bytes, float], tmp_path: Path
) -> None:
    """What the others rest on."""
    since = []
    for name, content_of in whole[0].items():
        if name.endswith(".tif"):
            with MemoryFile(content_of) as file, file.open() as source:
                tags = source.tags()
            assert tags["state"] == "carried"
            since.append(tags["weather_since"])
    assert (len(since), len(set(since))) == (11, 6)


@pytest.mark.parametrize("seed", range(2))
def test_kills_at_random_moments(trained: Any, whole: tuple[Bytes, float], tmp_path: Path, seed: int) -> None:
    maps, moments, kills = Maps(trained, tmp_path), random.Random(seed), 0
    for _ in range(3):
        process = begun(maps.make)
        wait_until_begun(maps, process)
        process.join(moments.uniform(0, whole[1] / 3))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
    assert kills >= 2
    maps.make()
    assert_same(content(tmp_path), whole[0])


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_changes_of_the_folder(
    trained: Any, whole: tuple[Bytes, float], tmp_path: Path, seed: int
) -> None:
    """Of many commands, until one comes to its end; what is made of several days takes more changes than any has."""
    maps, changes, kills = Maps(trained, tmp_path), random.Random(seed), 0
    for _ in range(MOST_KILLS):
        process = begun(maps.make, changes.randint(1, 60))
        process.join(PATIENCE)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 2
    assert len(list(tmp_path.glob("ssm_*.tif"))) == len(list(tmp_path.glob("ssm_*.qml"))) == 11
    maps.make()
    assert_same(content(tmp_path), whole[0])


def assert_same(found: Bytes, wanted: Bytes) -> None:
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
