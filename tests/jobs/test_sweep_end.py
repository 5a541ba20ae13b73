import pytest

from mlssm.errors import RunError
from mlssm.jobs.sweep import SweepParent


def test_a_sweep_whose_end_cannot_be_recorded_exits_with_an_error(monkeypatch):
    def fail(self, outcome):
        raise RunError("the runs at http://h cannot be read: login")

    monkeypatch.setattr(SweepParent, "_close", fail)
    with pytest.raises(SystemExit, match=r"error: the end of sweep .* could not be recorded: the runs at http://h"):
        SweepParent().on_multirun_end(None)  # of an Exception Hydra would only warn
