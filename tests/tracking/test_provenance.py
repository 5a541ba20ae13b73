import importlib.metadata
import subprocess
from pathlib import Path

import pytest

from mlssm.tracking.provenance import git_state, installed_packages


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--initial-branch=trunk")
    (tmp_path / "model.py").write_text("lag = 1\n")
    git(tmp_path, "add", "model.py")
    return tmp_path


def test_a_clean_checkout(checkout):
    git(checkout, "commit", "-m", "first")
    state = git_state(checkout)
    assert state.revision == git(checkout, "rev-parse", "HEAD")
    assert (state.branch, state.dirty, state.diff, state.note) == ("trunk", False, "", "")


def test_changes_staged_or_not_and_untracked_names_are_in_the_diff(checkout):
    git(checkout, "commit", "-m", "first")
    (checkout / "model.py").write_text("lag = 3\n")
    (checkout / "staged.py").write_text("staged = 1\n")
    git(checkout, "add", "staged.py")
    (checkout / "new.py").write_text("not shown")
    (checkout / "sub").mkdir()
    state = git_state(checkout / "sub")
    assert state.dirty
    assert "-lag = 1\n+lag = 3\n" in state.diff
    assert "+staged = 1\n" in state.diff
    assert state.diff.endswith("# untracked files:\n# new.py\n")
    assert "not shown" not in state.diff


def test_the_diff_restores_the_code(checkout):
    git(checkout, "commit", "-m", "first")
    (checkout / "model.py").write_text("lag = 3\n")
    diff = git_state(checkout).diff
    git(checkout, "checkout", "model.py")
    subprocess.run(["git", "apply"], cwd=checkout, input=diff, text=True, check=True)
    assert (checkout / "model.py").read_text() == "lag = 3\n"


def test_before_the_first_commit_all_is_new(checkout):
    state = git_state(checkout)
    assert (state.revision, state.branch, state.dirty) == ("none", "trunk", True)
    assert "+lag = 1\n" in state.diff


def test_a_detached_head(checkout):
    git(checkout, "commit", "-m", "first")
    git(checkout, "checkout", "--detach")
    assert git_state(checkout).branch == "detached"


def test_outside_a_checkout_the_state_says_so(tmp_path, monkeypatch):
    state = git_state(tmp_path)
    assert (state.revision, state.dirty) == ("unknown", None)
    assert "not a git repository" in state.note
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path).note == "git is not installed"


def test_installed_packages_are_those_of_the_environment():
    lines = installed_packages().splitlines()
    assert f"mlflow=={importlib.metadata.version('mlflow')}" in lines
    assert len({line.split("==")[0] for line in lines}) == len(lines)
