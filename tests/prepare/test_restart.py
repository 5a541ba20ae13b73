"""A preparation that is killed, or runs out of disk, goes on from what is done and ends in the same bytes."""

import errno
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forked import Bytes, begun, content

from mlssm.builds import Build, one_build, sweep_builds
from mlssm.config import DaskConfig
from mlssm.cube import Cube
from mlssm.errors import ChangedError, DataError
from mlssm.files import disk_fault
from mlssm.jobs.verify import verify
from mlssm.prepare import backscatter as prepare_backscatter
from mlssm.prepare.area import prepare
from mlssm.retrieval.stack import load_stack
from mlssm.retrieval.stack_making import MultilookBeside
from mlssm.shards import CheckedStore
from mlssm.sources.contents import Contents

PASSES = 5


@pytest.fixture(scope="module")
def area(area_files_in: Any, speckled: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Five passes in two polarisations, on two extents, and a DEM."""
    files = area_files_in(tmp_path_factory.mktemp("restart"))
    files.weather(days=70)
    for day in range(PASSES):
        for pol, part in (("VV", 1), ("VH", 5)):
            files.image(speckled * (1 + day / 9) / part, f"202301{1 + 6 * day:02d}T015902", pol=pol)
    files.image(speckled, "20230101T015925", burst="T137-292325-IW1", corner=(240000 + 9000, 3816000))
    files.raster("dem.tif", np.add.outer(np.arange(60.0), np.arange(400.0)).astype(np.float32), (239600, 3816400))
    old = time.time() - 60  # longer ago than a time stamp is fine
    for path in files.root.rglob("*"):
        os.utime(path, (old, old))
    return files


@pytest.fixture(scope="module")
def images(train_config: Any) -> Any:
    """Blocks of 150 m in both polarisations."""
    overrides = "retrieval.multilook_m=150", "retrieval.multilook=block"
    channel = {"channel": {"VV": 0.7, "VH": 0.3}, "min_valid_fraction": 0.5}
    return train_config(*overrides).retrieval.model_copy(update=channel)


def run(area: Any, images: Any, cubes: Path, dask: DaskConfig | None = None) -> Cube:
    config = area.config(dem="dem.tif", cubes=cubes)
    return prepare(config, "error", None, dask or DaskConfig(workers=2), MultilookBeside(images))


@pytest.fixture(scope="module")
def whole(area: Any, images: Any, tmp_path_factory: pytest.TempPathFactory) -> Bytes:
    """What a preparation that nothing disturbed leaves."""
    cubes = tmp_path_factory.mktemp("whole")
    run(area, images, cubes)
    found = content(cubes)
    assert not [name for name in found if name.startswith(".")]
    assert len([name for name in found if "/backscatter/c/" in name]) == 2 * PASSES
    assert len([name for name in found if ".multilook/" in name]) == 2 * (2 * 2 + 2)
    return found


def kill_at_random(area: Any, images: Any, cubes: Path, seed: int, kills: int) -> int:
    """How many of so many kills came before the end."""
    moments, hit = random.Random(seed), 0
    for _ in range(kills):
        process = begun(run, area, images, cubes)
        process.join(moments.uniform(0, 1.2))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            hit += 1
        process.join()
    return hit


def test_a_killed_preparation_goes_on_and_ends_in_the_same_bytes(
    area: Any, images: Any, whole: Bytes, tmp_path: Path
) -> None:
    assert kill_at_random(area, images, tmp_path, 1, 3)
    run(area, images, tmp_path)
    assert content(tmp_path) == whole


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_kills(area: Any, images: Any, whole: Bytes, tmp_path: Path, seed: int) -> None:
    kill_at_random(area, images, tmp_path, seed, 8)
    run(area, images, tmp_path)
    assert content(tmp_path) == whole


@pytest.mark.parametrize("step", range(1, 2 * PASSES, 3))
def test_a_kill_at_each_stage_of_writing(
    area: Any, images: Any, whole: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Killed in its n-th shard, with a part of it on the disk; what is done is not done again."""
    plain, count = CheckedStore.set, [0]

    async def killed(self: CheckedStore, key: str, value: Any) -> None:
        count[0] += 1
        if count[0] == step:
            (self.root / f"{key}.partial").parent.mkdir(parents=True, exist_ok=True)
            (self.root / f"{key}.partial").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        await plain(self, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(CheckedStore, "set", killed)
        process = begun(run, area, images, tmp_path)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    (build,) = tmp_path.glob(".*.building")
    done = {path.stem for path in (build / "markers").glob("*.json")}
    again = passes_that_are_read(monkeypatch)
    run(area, images, tmp_path)
    assert not done & set(again)
    assert content(tmp_path) == whole


def test_a_kill_before_the_build_is_removed_leaves_nothing_behind(
    area: Any, images: Any, whole: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cube is in its place by then, so that the next command finds it."""
    with monkeypatch.context() as patched:
        patched.setattr(Build, "discard", lambda _: os.kill(os.getpid(), signal.SIGKILL))
        process = begun(run, area, images, tmp_path)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    assert list(tmp_path.glob("*.zarr"))
    assert list(tmp_path.glob(".*.building"))
    again = passes_that_are_read(monkeypatch)
    run(area, images, tmp_path)
    assert not again
    assert content(tmp_path) == whole


def passes_that_are_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    plain = prepare_backscatter.prepare_pass

    def noted(task: Any, item: Any) -> None:
        names.append(item.name)
        plain(task, item)

    monkeypatch.setattr(prepare_backscatter, "prepare_pass", noted)
    return names


def test_a_full_disk_is_said_and_what_is_done_is_kept(
    area: Any, images: Any, whole: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, count = CheckedStore.set, [0]

    async def full(self: CheckedStore, key: str, value: Any) -> None:
        count[0] += 1
        if count[0] == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        await plain(self, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(CheckedStore, "set", full)
        with pytest.raises(OSError, match="No space left") as error:
            prepare(
                area.config(dem="dem.tif", cubes=tmp_path),
                "error",
                None,
                DaskConfig(workers=1),
                MultilookBeside(images),
            )
    assert "backscatter" in (said := str(disk_fault(error.value)))
    assert said.endswith("free some space there")
    assert not list(tmp_path.glob("*.zarr"))
    again = passes_that_are_read(monkeypatch)
    run(area, images, tmp_path)
    assert 0 < len(again) < PASSES
    assert content(tmp_path) == whole


def test_a_file_that_changes_while_it_is_read_is_said(
    area_files: Any, speckled: Any, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    area_files.weather()
    for day in ("01", "13"):
        path = area_files.image(speckled, f"202301{day}T015902")
    config, plain = area_files.config(), Contents.read

    def changed(self: Contents, name: Path) -> bytes | None:
        found = plain(self, name)
        if name == path:
            area_files.image(speckled * 2, "20230113T015902")
        return found

    for policy in ("error", "skip"):  # it is no bad file, and never left out
        with monkeypatch.context() as patched:
            patched.setattr(Contents, "read", changed)
            with pytest.raises(ChangedError, match=rf"{path.name} changed while the area was prepared: \d+ bytes"):
                prepare(config, policy)  # type: ignore[arg-type]
        assert not list(config.cubes.glob("*.zarr"))
    cube = prepare(config, "error")
    np.testing.assert_allclose(cube.backscatter(1, "VV", cube.extents[0]), 10 * np.log10(2 * speckled), atol=0.00501)


def test_a_pass_whose_file_was_replaced_is_read_again_and_the_others_are_not(
    area_files: Any, speckled: Any, truncate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    area_files.weather()
    for day in ("01", "13", "25"):
        path = area_files.image(speckled, f"202301{day}T015902")
    truncate(path)
    config = area_files.config()
    with pytest.raises(DataError, match=rf"{path.name} cannot be read"):
        prepare(config, "error", None, DaskConfig(workers=1))
    area_files.image(speckled, "20230125T015902")
    again = passes_that_are_read(monkeypatch)
    assert len(prepare(config, "error").times) == 3
    assert again == ["00002"]


def test_a_second_preparation_waits_and_finds_the_cube(
    area: Any, images: Any, whole: Bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = begun(run, area, images, tmp_path), begun(run, area, images, tmp_path)
    for process in (first, second):
        process.join(60)
        assert process.exitcode == 0
    assert content(tmp_path) == whole
    with one_build(tmp_path, "cube", "it"):
        thread = threading.Thread(target=lambda: one_build(tmp_path, "cube", "the area").__enter__())
        thread.start()
        while not caplog.messages:
            time.sleep(0.01)
    thread.join()
    assert caplog.messages == ["another process is preparing the area: waiting for it"]


def test_a_pass_without_a_value_is_left_out_after_a_kill_too(
    area_files: Any, speckled: Any, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    area_files.weather()
    for day in ("01", "07", "13", "25"):
        area_files.image(speckled * (np.nan if day == "07" else float(day)) / 30, f"202301{day}T015902")
    config, rename, count = area_files.config(), Path.rename, [0]

    def stopped(self: Path, target: Any) -> Path:
        if self.parent.name == "c":
            count[0] += 1
            if count[0] == 2:
                raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            prepare(config, "error", None, None, MultilookBeside(images))
    cube = prepare(config, "error", None, None, MultilookBeside(images))
    (extent,) = cube.extents
    for time_, day in enumerate((1, 13, 25)):
        wanted = 10 * np.log10(speckled * day / 30)
        np.testing.assert_allclose(cube.backscatter(time_, "VV", extent), wanted, atol=0.00501)
    assert verify([cube.path]) == 0


def test_the_stack_of_the_passes_is_that_of_the_cube(
    area: Any, images: Any, whole: Bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cube = prepare(area.config(dem="dem.tif", cubes=tmp_path), "error")
    assert not list(tmp_path.glob("*.multilook"))
    load_stack(cube, images)
    assert content(tmp_path) == whole
    lost = next(tmp_path.glob("*.multilook/*/extent1-count.npy"))
    lost.write_bytes(lost.read_bytes()[:-1])
    load_stack(cube, images)
    assert any("has lost files: it is made anew" in message for message in caplog.messages)
    assert content(tmp_path) == whole


def test_verify_names_a_damaged_date_of_a_stack(
    area: Any, images: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cube = run(area, images, tmp_path)
    path = next(tmp_path.glob("*.multilook/VV*/extent0-backscatter.npy"))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    assert verify([cube.path]) == 1
    assert f"{path} does not hold what was written of date {PASSES}; delete {path.parent}" in capsys.readouterr().out


def test_a_build_that_nobody_goes_on_with_is_swept(tmp_path: Path) -> None:
    for name, age in (("new", 0), ("old", 20 * 86400)):
        folder = tmp_path / f".{name}.building" / "markers"
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age, time.time() - age))
    (tmp_path / ".gone.building").mkdir()  # of a kill while it was removed
    sweep_builds(tmp_path)
    assert [path.name for path in tmp_path.glob("*.building")] == [".new.building"]


def test_a_cube_of_an_earlier_format_is_made_anew_with_a_line(
    area_files: Any, speckled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    area_files.weather()
    area_files.image(speckled)
    cube = prepare(area_files.config(), "error")
    meta = cube.path / "zarr.json"
    meta.write_text(meta.read_text().replace('"format": 5', '"format": 3'))
    old = cube.path.rename(cube.path.with_name("area-000000000000.zarr"))
    assert prepare(area_files.config(), "error").path == cube.path
    assert any(message.startswith(f"{old} has cube format 3 of an earlier version") for message in caplog.messages)


def test_the_room_that_older_cubes_take_is_said(
    area_files: Any, speckled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    area_files.image(speckled)
    config, cubes = area_files.config(), []
    for days in (60, 61, 62):
        area_files.weather(days=days)
        cubes.append(prepare(config, "error").path)
        beside = cubes[0].with_suffix(".multilook")
        beside.mkdir(exist_ok=True)
        (beside / "plane").write_bytes(bytes(3_000_000))
    other = config.cubes / f"{cubes[0].stem.rpartition('-')[0]}-north-000000000000.zarr"  # another area's
    other.mkdir()
    size = sum(path.stat().st_size for cube in cubes[:2] for path in cube.rglob("*") if path.is_file())
    assert len({*cubes}) == 3
    told = [message for message in caplog.messages if "older cube" in message]
    name = cubes[0].stem.rpartition("-")[0]
    assert [message.partition(",")[0] for message in told] == [
        f"{config.cubes}: {number} older {cube} of {name}" for number, cube in ((1, "cube"), (2, "cubes"))
    ]
    assert f"{3 + size / 1e6:,.1f} MB" in told[1]


@pytest.mark.exhaustive
@pytest.mark.slow
def test_processes_write_the_same_bytes(area: Any, images: Any, whole: Bytes, tmp_path: Path) -> None:
    run(area, images, tmp_path, DaskConfig(name="processes", workers=2))
    assert content(tmp_path) == whole


@pytest.mark.exhaustive
@pytest.mark.slow
def test_a_cluster_of_which_a_worker_is_killed_writes_the_same_bytes(
    area: Any, images: Any, whole: Bytes, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    alone = {"dashboard_address": ":0"}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, protocol="tcp", scheduler_kwargs=alone
    ) as cluster:
        first = next(iter(cluster.workers.values()))
        killer = threading.Thread(target=kill_once_begun, args=(tmp_path, first.pid))
        killer.start()
        run(area, images, tmp_path, DaskConfig(name="cluster", address=cluster.scheduler_address))
        killer.join()
    assert content(tmp_path) == whole


def kill_once_begun(cubes: Path, pid: int) -> None:
    while not list(cubes.glob(".*.building/markers/*.json")):
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
