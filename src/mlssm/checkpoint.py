"""Checkpoint files: never half-written under their name, tensors and primitives only, and read with a clear refusal."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor

from mlssm.errors import RunError
from mlssm.files import naming

State = dict[str, Any]  # what Lightning makes of a training; nested, of tensors and primitives
BEST, LAST = "best.ckpt", "last.ckpt"
CHECKPOINTS = "checkpoints"  # their folder in a job's, and among a run's artifacts
UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)


def write_checkpoint(state: Mapping[str, Any], path: Path) -> None:
    """Write a file that is whole or not there, also if the process or the machine is stopped meanwhile.

    One process writes into a folder; what a killed one left half-written, the next writing replaces.

    Raises:
        OSError: The disk is full or cannot be written; the file that was there before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with naming(path), partial.open("wb") as file:  # by name, torch would write the name into the file
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync_folder(path.parent)


def read_checkpoint(path: Path) -> State:
    """A checkpoint's content, on the CPU.

    Raises:
        RunError: The file is missing, damaged, or holds more than tensors and primitives.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load compares no checksums
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} has changed")
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such checkpoint; start without resume, fork and warm_start") from None
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"{path}: the checkpoint is damaged ({reason}); put back a copy, or train anew without resume and fork"
        ) from None
    return state


def check_fits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    """Compare two states of a network, name by name.

    Args:
        found: The weights that there are.
        wanted: The weights of the network that the configuration describes.
        source: What the found ones are called in the message.

    Raises:
        RunError: Names or shapes differ.
    """
    lacking = sorted(wanted.keys() - found.keys())
    unknown = sorted(found.keys() - wanted.keys())
    both = sorted(wanted.keys() & found.keys())
    reshaped = [
        f"{name} {list(found[name].shape)} instead of {list(wanted[name].shape)}"
        for name in both
        if found[name].shape != wanted[name].shape
    ]
    named = {"missing": lacking, "unexpected": unknown, "of another shape": reshaped}
    faults = "; ".join(f"{what}: {', '.join(names)}" for what, names in named.items() if names)
    if faults:
        raise RunError(
            f"{source} is of another architecture than model and loss describe ({faults}); set them as in its run"
        )


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's way to files, by the two functions above; the first process reads for all."""

    def save_checkpoint(self, checkpoint: State, path: str | Path, storage_options: Any | None = None) -> None:
        """Write a file that is whole or not there."""
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> State:
        """The content, on the CPU; the other processes need not see the file.

        Raises:
            RunError: See `read_checkpoint`.
        """
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return read_checkpoint(Path(path))
        held = [read_checkpoint(Path(path)) if torch.distributed.get_rank() == 0 else {}]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]


def _sync_folder(folder: Path) -> None:
    """Make the renaming last; systems whose folders cannot be opened do so by themselves."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
