"""A training's job with other seasons held out than it was told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mlssm.config import SplitConfig, parse
from mlssm.jobs.continuation import TrainingJob


def on_seasons(job: TrainingJob, changes: Mapping[str, Any]) -> TrainingJob:
    """The same job under another split.

    Args:
        job: The job.
        changes: Keys of the section `split`, as plain values.
    """
    split = {**job.values["split"], **changes}
    config = job.config.model_copy(update={"split": parse(SplitConfig, split)})
    return dataclasses.replace(job, config=config, values={**job.values, "split": split})
