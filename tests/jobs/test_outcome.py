import pytest
from hydra.core.utils import JobReturn, JobStatus

from mlssm.errors import DataError
from mlssm.jobs.outcome import job_result


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [(JobStatus.COMPLETED, 3, (3, None)), (JobStatus.FAILED, error := DataError("no weather"), (None, error))],
)
def test_a_job_has_a_value_or_an_error_and_prints_neither(
    capsys: pytest.CaptureFixture[str], status: JobStatus, value: object, expected: tuple[object, object]
) -> None:
    job = JobReturn(overrides=["model.lag=3"], status=status)
    job.return_value = value
    assert job_result(job) == expected
    assert capsys.readouterr() == ("", "")
