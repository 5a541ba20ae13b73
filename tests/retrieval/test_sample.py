from pathlib import Path

import numpy as np
import pytest
from tests.elsewhere import Elsewhere

from mlssm.crew import Crew
from mlssm.retrieval import sample as sample_module
from mlssm.retrieval.fit import fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.noise import Speckle
from mlssm.retrieval.sample import PIXELS, Source, draw_sample
from mlssm.retrieval.stack import load_stack
from mlssm.shipping import Shipment
from mlssm.workers import Workers


def source(area, training: np.ndarray, *changes: str, masked: bool = False) -> Source:
    config = area.config(*changes).retrieval
    stack = load_stack(area.cube, config)
    shapes = tuple(each.packed.shape[1:] for each in stack.extents)
    masks = DateMasks({(0, 2): np.ones(shapes[0], bool)} if masked else {}, shapes)
    fitted = fit_retrieval(area.cube, stack, config, training, masks)
    return Source(area.cube, stack, fitted.extents, masks, Speckle(10), config, training)


@pytest.fixture(scope="module")
def training(watershed) -> np.ndarray:
    return np.arange(len(watershed.cube.times)) % 3 != 0


@pytest.mark.parametrize("mode", ["block", "moving"])
def test_sample_lies_between_its_references(watershed, training: np.ndarray, mode: str) -> None:
    found = source(watershed, training, "retrieval.multilook_m=90", f"retrieval.multilook={mode}", masked=True)
    sample = draw_sample(found)
    known = np.isfinite(sample.relative)
    assert sample.relative.shape[1] <= PIXELS
    assert known.any()
    assert not known[2].any()  # masked
    whole, times = found.stack.extents[0].backscatter(slice(None), slice(None), slice(None)), np.arange(len(known))
    relative, sensitivity = found.extents[0].relative(whole, watershed.cube.orbits, slice(None), slice(None))
    usable = np.logical_or.reduce([*found.extents[0].usable.values()])
    clear = times != 2
    np.testing.assert_array_equal(sample.relative[clear], relative[:, usable][clear])
    np.testing.assert_array_equal(sample.sensitivity, sensitivity[:, usable])
    assert 0 < sample.looks.min() <= sample.looks.max() <= 90 + 1e-9


@pytest.mark.parametrize("mode", ["block", "moving"])
def test_whoever_reads_the_images_the_sample_is_the_same(
    watershed, training: np.ndarray, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = source(watershed, training, "retrieval.multilook_m=90", f"retrieval.multilook={mode}")
    whole = draw_sample(found).looks
    monkeypatch.setattr("mlssm.retrieval.bands.ROWS", 3)
    for crew in (None, Crew(Workers(3), None), Crew(Elsewhere(), Shipment(tmp_path))):
        np.testing.assert_array_equal(draw_sample(found, crew).looks, whole, strict=True)
    assert len(np.unique(whole)) > 100


def test_a_large_extent_is_sampled_evenly(watershed, training: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    found = source(watershed, training, "retrieval.multilook_m=0")
    whole = draw_sample(found).relative
    monkeypatch.setattr(sample_module, "PIXELS", 100)
    some = draw_sample(found).relative
    assert 95 <= some.shape[1] <= 100
    assert np.nanmean(some) == pytest.approx(np.nanmean(whole), abs=0.05)


def test_uneven_brightness_costs_looks(watershed, training: np.ndarray, tmp_path: Path) -> None:
    """A chequerboard of 10 and 1: (5 x 10 + 4)^2 / (5 x 100 + 4) = 5.8 or (4 x 10 + 5)^2 / (4 x 100 + 5) = 5 of 9."""
    found = source(watershed, training, "retrieval.multilook_m=90", "retrieval.multilook=moving")

    class Chequered:
        """The cube, with other images."""

        orbits, extents = watershed.cube.orbits, watershed.cube.extents

        def backscatter(self, time: int, polarisation: str, extent) -> np.ndarray:
            board = np.indices(extent.shape).sum(axis=0) % 2
            speckle = np.random.default_rng(time).gamma(10, 0.1, extent.shape)
            return (10 * np.log10(speckle) + 10 * board).astype(np.float32)

    looks = draw_sample(Source(Chequered(), *(getattr(found, name) for name in NAMES))).looks / 10
    inner = looks[:, looks.min(axis=0) > 0].ravel()
    kinds = np.array([54**2 / 504, 45**2 / 405])
    nearest = kinds[np.abs(inner[:, None] - kinds).argmin(axis=1)]
    assert np.median(np.abs(inner / nearest - 1)) < 0.1
    assert {*nearest} == {*kinds}


NAMES = ("stack", "extents", "masks", "speckle", "config", "training")
