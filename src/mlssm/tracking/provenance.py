"""What a run was made with: the code's git state and the installed packages."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import mlssm


@dataclass(frozen=True)
class GitState:
    """The checkout that the code ran from.

    Attributes:
        revision: Commit hash; "none" before the first commit, "unknown" outside a checkout.
        branch: Branch name; "detached" without one, "unknown" outside a checkout.
        dirty: Whether tracked files differ from the revision or untracked files exist; None outside a checkout.
        diff: What is not committed: the diff of tracked files and the names of untracked ones; empty if clean.
        note: Why the state is unknown; empty if it is known.
    """

    revision: str
    branch: str
    dirty: bool | None
    diff: str
    note: str = ""


def git_state(folder: Path | None = None) -> GitState:
    """The git state of a folder, by default of the folder that this package lies in."""
    folder = folder or Path(mlssm.__file__).parent
    try:
        root = _git(folder, "rev-parse", "--show-toplevel").strip()
    except FileNotFoundError:
        return GitState("unknown", "unknown", None, "", "git is not installed")
    except subprocess.CalledProcessError as error:
        reason = str(error.stderr).strip().splitlines() or [f"git exit code {error.returncode}"]
        return GitState("unknown", "unknown", None, "", reason[0])
    return _state_of_checkout(Path(root))


@cache
def installed_packages() -> str:
    """Every installed distribution, one `name==version` a line, sorted, in the form of a requirements file."""
    fields = (item.metadata for item in metadata.distributions())  # parsed at each access, so once
    found = {f"{field['Name']}=={field['Version']}" for field in fields if field["Name"]}
    return "\n".join(sorted(found, key=str.lower)) + "\n"


def _state_of_checkout(root: Path) -> GitState:
    revision = _answer(root, "rev-parse", "--verify", "--quiet", "HEAD")
    base = revision or _git(root, "hash-object", "-t", "tree", "/dev/null").strip()  # no commit yet: all is new
    diff = _git(root, "diff", "--no-ext-diff", "--no-color", base)
    untracked = _git(root, "ls-files", "--others", "--exclude-standard").splitlines()
    if untracked:
        diff += "\n".join(["# untracked files:", *(f"# {name}" for name in untracked)]) + "\n"
    branch = _answer(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    return GitState(revision or "none", branch or "detached", bool(diff), diff)


def _answer(folder: Path, *arguments: str) -> str:
    """The output of a question to git that has no answer where git fails."""
    try:
        return _git(folder, *arguments).strip()
    except subprocess.CalledProcessError:
        return ""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, errors="replace"
    )
    return done.stdout
