import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlssm.retrieval import fit
from mlssm.retrieval.label_error import LabelError
from mlssm.retrieval.label_error_cache import kept_label_error
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import load_stack

MADE = LabelError(np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.array([1.5]))


def test_what_was_learnt_is_read_again(tmp_path: Path) -> None:
    first = kept_label_error(tmp_path / "error", lambda: MADE)
    second = kept_label_error(tmp_path / "error", lambda: pytest.fail("learnt twice"))
    for found in (first, second):
        np.testing.assert_array_equal(found.table, MADE.table)
        np.testing.assert_array_equal(found.edges, MADE.edges)
        assert found.table.dtype == np.float32


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00"])
def test_a_damaged_one_is_learnt_anew_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    kept_label_error(tmp_path / "error", lambda: MADE)
    (tmp_path / "error" / "table.npy").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        found = kept_label_error(tmp_path / "error", lambda: MADE)
    assert "is damaged" in caplog.text
    np.testing.assert_array_equal(found.table, MADE.table)
    np.testing.assert_array_equal(np.load(tmp_path / "error" / "table.npy"), MADE.table)


def test_a_failed_attempt_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        kept_label_error(tmp_path / "error", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert not (tmp_path / "error").exists()


def test_other_training_dates_have_another_error(watershed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[int] = []

    def learn(sample: Any, dates: Any, config: Any) -> LabelError:
        learnt.append(int(dates.training.sum()))
        return LabelError(np.full((len(dates.training), 1, 12), 0.1, np.float32), np.empty(0))

    monkeypatch.setattr(fit, "fit_label_error", learn)
    config = watershed.config("retrieval.multilook_m=210").retrieval
    stack = load_stack(watershed.cube, config)
    masks = DateMasks({}, tuple(area.packed.shape[1:] for area in stack.areas))
    for training in (slice(None), slice(None), slice(5, None)):
        chosen = np.zeros(len(watershed.cube.times), bool)
        chosen[training] = True
        fit.fit_retrieval(watershed.cube, stack, config, chosen, masks)
    count = len(watershed.cube.times)
    assert learnt == [count, count - 5]
