"""The label error, kept beside the multilook: it depends on cube, retrieval and training dates, not on lag or model."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlssm.files import whole_or_nothing
from mlssm.retrieval.label_error import LabelError

log = logging.getLogger(__name__)

VERSION = 1  # of what makes it, also in courses, sample, noise and references; to be raised where its numbers change
TABLE, EDGES = "table.npy", "edges.npy"


def kept_label_error(folder: Path, make: Callable[[], LabelError]) -> LabelError:
    """What was learnt before, in this or another process, else made and kept.

    A damaged one is made anew, which the log says.

    Args:
        folder: Where it is kept, named by what it depends on.
        make: Learns it.
    """
    if folder.is_dir():
        try:
            return LabelError(np.load(folder / TABLE), np.load(folder / EDGES))
        except (OSError, ValueError, EOFError) as error:
            log.warning("%s is damaged (%s): the label error is learnt anew", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    made = make()
    with whole_or_nothing(folder) as partial:
        partial.mkdir()
        np.save(partial / TABLE, made.table)
        np.save(partial / EDGES, made.edges)
    return made
