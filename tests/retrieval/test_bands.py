from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.elsewhere import Elsewhere

from mlssm.crew import Crew
from mlssm.retrieval.bands import bands
from mlssm.retrieval.fit import Retrieval, fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.reasons import Reason
from mlssm.retrieval.stack import load_stack
from mlssm.shipping import Shipment
from mlssm.workers import Workers


@pytest.mark.parametrize(("shape", "dates"), [((1000, 700), 1), ((1000, 700), 100), ((3, 5_000_000), 50), ((1, 1), 9)])
def test_bands_cover_each_row_once_and_hold_few_values(shape: tuple[int, int], dates: int) -> None:
    found = bands(shape, dates)
    assert [row for part in found for row in range(part.start, part.stop)] == list(range(shape[0]))
    assert all((part.stop - part.start) * shape[1] * dates <= max(4_000_000, shape[1] * dates) for part in found)


@pytest.mark.parametrize("changes", [(), ("retrieval.polarisation=null", "retrieval.min_sensitivity_speckle=4.65")])
def test_references_are_the_same_in_any_bands_by_any_workers(
    watershed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: tuple[str, ...]
) -> None:
    cube, config = watershed.cube, watershed.config("retrieval.multilook_m=90", *changes).retrieval
    stack = load_stack(cube, config)
    shape = stack.extents[0].packed.shape[1:]
    frozen = np.zeros(shape, np.uint16)
    frozen[3:9, 2:] = Reason.FROZEN
    masks = DateMasks({(0, 2): frozen}, (shape,))
    training = np.arange(len(cube.times)) % 3 > 0

    def fit(workers: Workers | None) -> Retrieval:
        crew = None if workers is None else Crew(workers, None if workers.here else Shipment(tmp_path))
        return fit_retrieval(cube, stack, config, training, masks, crew)

    whole = fit(None)
    monkeypatch.setattr("mlssm.retrieval.bands.VALUES", 4 * shape[1] * len(cube.times))
    assert len(bands((shape[0], shape[1]), len(cube.times))) > 2
    for workers in (None, Workers(1), Workers(3), Elsewhere()):
        found = fit(workers)
        assert found.digest() == whole.digest()
        for key, flags in whole.extents[0].reasons.items():
            np.testing.assert_array_equal(found.extents[0].reasons[key], flags)
        np.testing.assert_array_equal(found.error.shift, whole.error.shift)
