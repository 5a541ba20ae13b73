"""A training under another one's run: of a seed, or of a season that is held out."""

from __future__ import annotations

import dataclasses

from mlssm.jobs.continuation import TrainingJob, resume
from mlssm.tracking.find import Run, children
from mlssm.tracking.run import TrackedRun


def job_under(job: TrainingJob, name: str, tag: tuple[str, str], above: TrackedRun | None) -> TrainingJob:
    """The same training in a folder of its own, going on where an earlier one under the same run was broken off.

    Args:
        job: What it is told.
        name: Of its folder.
        tag: Name and value, which tell its run from the others there.
        above: The run above; None in a process that keeps none.
    """
    folder = job.folder / name
    earlier = None if job.resumed is None or above is None else earlier_under(above, tag)
    if earlier is None or above is None:
        return dataclasses.replace(job, folder=folder, resumed=None)
    config = job.config.model_copy(update={"resume": earlier.run_id})
    again = resume(above.store, config, job.values, folder, ())
    # what the run above was told counts, not what this one was told once
    return dataclasses.replace(again, config=job.config, values=job.values, watched=job.watched, pooled=job.pooled)


def earlier_under(above: TrackedRun, tag: tuple[str, str]) -> Run | None:
    """The last run under another one that has a tag."""
    name, value = tag
    found = [run for run in children(above.store, above.run_id) if run.tags.get(name) == value]
    return found[-1] if found else None
