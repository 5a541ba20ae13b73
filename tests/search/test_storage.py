"""Storages that work, and those that cannot be reached."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydra_plugins.mlssm_optuna._storage import absolute_address, open_storage
from mlssm.errors import ConfigError, RunError

pytestmark = pytest.mark.slow

BINARIES = "/usr/lib/postgresql"
ONE = ["model.lag=range(1,9)", "hydra.sweeper.n_trials=4"]


def postgres_binary(name: str) -> str:
    folders = [str(path / "bin") for path in sorted(Path(BINARIES).glob("*"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed (apt-get install postgresql)")
    return found


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A server of Debian's on loopback, for this module; the address with its password."""
    initdb, server = postgres_binary("initdb"), postgres_binary("postgres")
    user = pwd.getpwnam("nobody").pw_uid if os.getuid() == 0 else os.getuid()  # it refuses root
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "password").write_text("hid den")
        for path in (folder, folder / "password"):
            os.chown(path, user, -1)
        told = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        make = [
            "-D",
            "data",
            "-U",
            "me",
            "--pwfile=password",
            "-A",
            "scram-sha-256",
            "--no-sync",
            "--locale=C",
            "-E",
            "UTF8",
        ]
        subprocess.run([initdb, *make], check=True, **told)
        serve = ["-D", "data", "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
        process = subprocess.Popen([server, *serve], **told)
        try:
            yield _when_up(f"postgresql://me:hid%20den@127.0.0.1:{port}/postgres")
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for clients to leave
            process.wait()


def _when_up(address: str) -> str:
    end = time.monotonic() + 60
    while True:
        try:
            open_storage(absolute_address(address))
            return address
        except RunError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.exhaustive
def test_a_search_in_postgresql_goes_on_and_hides_the_password(app, postgres: str) -> None:
    options = [f"hydra.sweeper.storage='{postgres}'", "hydra.output_subdir=told"]
    app.search("model.lag=range(1,9)", "hydra.sweeper.n_trials=2", *options)
    app.search(*ONE, *options)
    assert len(app.jobs) == 3, "two trials and the champion"
    study = app.study(absolute_address(postgres))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    written = [path for path in app.folder.rglob("*") if path.is_file()]
    assert any("***" in path.read_text() for path in written if path.name == "hydra.yaml")
    assert not [path for path in written if b"hid%20den" in path.read_bytes() or b"hid den" in path.read_bytes()]


@pytest.mark.exhaustive
def test_two_workers_share_a_study_in_postgresql(app, postgres: str) -> None:
    name = "hydra.sweeper.study_name=two"
    process = app.start(*ONE, f"hydra.sweeper.storage='{postgres}'", name, "hydra.sweeper.n_jobs=2", PAUSE="0.3")
    assert process.wait(timeout=120) == 0, process.stderr.read()
    process.stderr.close()
    import optuna

    trials = optuna.load_study(study_name="two", storage=open_storage(absolute_address(postgres))).trials
    assert [trial.state.name for trial in trials].count("COMPLETE") == 4
    assert (app.folder / "champions").read_text().count("run") == 1


def test_a_wrong_password_ends_at_once(app, postgres: str) -> None:
    wrong = postgres.replace("hid%20den", "guessed")
    with pytest.raises(RunError, match=r"://\*\*\*@127.*password authentication failed") as caught:
        app.search(*ONE, f"hydra.sweeper.storage='{wrong}'")
    assert "guessed" not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        ("postgresql://me:secret@127.0.0.1:1/none", "onnection"),
        ("postgresql://me:secret@no-such-host.invalid/none", "resolve|Name or service|host"),
        ("postgresql+nodriver://me:secret@127.0.0.1/none", "nodriver|driver"),
        ("sqlite:///text.db", "not a database"),
        ("journal:text.db", "line|log|Expecting"),
        ("sqlite:////proc/none/optuna.db", "/proc/none"),
    ],
)
def test_a_storage_that_cannot_be_used_ends_at_once(app, storage: str, reason: str) -> None:
    (app.folder / "text.db").write_text("this is no database\n" * 100)
    with pytest.raises(RunError, match=reason) as caught:
        app.search(*ONE, f"hydra.sweeper.storage='{storage}'")
    assert not app.jobs
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_address("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    assert absolute_address("a.log") == absolute_address("journal:a.log") == f"journal:{tmp_path}/a.log"
    assert absolute_address("postgresql://u@h/n") == "postgresql+psycopg://u@h/n"
    for wrong in ("sqlite://", "mysql://u:secret@h/n", "folder", "sqlite:///a?b/c.db", "sqlite:///a%41b/c.db"):
        with pytest.raises(ConfigError) as caught:
            absolute_address(wrong)
        assert "secret" not in str(caught.value)
