"""The retrieval of a whole simulated watershed, whose truth is known."""

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from mlssm.config import RetrievalConfig
from mlssm.cube import Cube
from mlssm.errors import ConfigError, DataError, SplitError
from mlssm.retrieval.fit import Retrieval, fit_retrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.stack import load_stack

EVERYTHING = slice(None)


def retrieve(cube: Cube, config: RetrievalConfig, training: np.ndarray) -> Retrieval:
    stack = load_stack(cube, config)
    return fit_retrieval(cube, stack, config, training, DateMasks({}, tuple(a.packed.shape[1:] for a in stack.extents)))


def labels(retrieval: Retrieval, cube: Cube):
    return retrieval.labels(0, np.arange(len(cube.times)), EVERYTHING, EVERYTHING)


@pytest.fixture(scope="module")
def training(watershed) -> np.ndarray:
    """Two of three dates."""
    return np.arange(len(watershed.cube.times)) % 3 != 0


def truth_of(root: Path, factor: int) -> np.ndarray:
    """True SSM, averaged over blocks."""
    ssm = np.asarray(zarr.open_group(root / "truth.zarr", mode="r")["ssm"][:], float)
    time, height, width = ssm.shape
    return ssm.reshape(time, height // factor, factor, width // factor, factor).mean(axis=(2, 4))


def scaled_truth(ssm: np.ndarray, cube: Cube, training: np.ndarray) -> np.ndarray:
    """(truth - P5) / (P95 - P5), clipped, the percentiles being those of the orbit's training dates."""
    wanted = np.full(ssm.shape, np.nan)
    for orbit in np.unique(cube.orbits):
        times = cube.orbits == orbit
        dry, wet = np.percentile(ssm[times & training], [5, 95], axis=0)
        wanted[times] = np.clip((ssm[times] - dry) / (wet - dry), 0, 1)
    return wanted


def test_without_speckle_it_returns_the_truth(silent_watershed, training: np.ndarray) -> None:
    """To the 0.005 dB that a stored value is rounded by, three times, over at least 2 dB of sensitivity."""
    config = silent_watershed.config("retrieval.multilook_m=0").retrieval
    cube = silent_watershed.cube
    found = labels(retrieve(cube, config, training), cube).ssm
    wanted = scaled_truth(truth_of(silent_watershed.root, 1), cube, training)
    known = np.isfinite(found)
    assert known.mean() > 0.4
    assert np.abs(found - wanted)[known].max() < 3 * 0.005 / 2 + 1e-4


@pytest.mark.parametrize("metres", [90, 150])
def test_without_speckle_blocks_return_the_mean_truth(silent_watershed, training: np.ndarray, metres: int) -> None:
    """Power is averaged, not SSM, and pixels of a block differ in brightness, so that it is so but nearly."""
    config = silent_watershed.config(f"retrieval.multilook_m={metres}").retrieval
    cube = silent_watershed.cube
    found = labels(retrieve(cube, config, training), cube).ssm
    wanted = scaled_truth(truth_of(silent_watershed.root, metres // 30), cube, training)
    known = np.isfinite(found) & np.isfinite(wanted)
    assert known.mean() > 0.4
    assert np.sqrt(np.square(found - wanted)[known].mean()) < 0.05
    assert np.corrcoef(found[known], wanted[known])[0, 1] > 0.99


def test_looks_that_are_not_stated_are_estimated(watershed, training: np.ndarray) -> None:
    """10 looks were simulated; moisture that differs between pixels three apart makes it a lower bound."""
    unknown = watershed.cube.manifest.model_copy(update={"looks": None})
    config = watershed.config().retrieval
    found = retrieve(Cube(watershed.cube.path, unknown), config, training).speckle
    assert 8 < found.looks < 10.5
    np.testing.assert_allclose(found.correlation, 0, atol=0.06)


@pytest.fixture
def altered(watershed, tmp_path: Path) -> Callable[[np.ndarray], Cube]:
    """A copy of the cube in which the backscatter of some times is another."""

    def alter(times: np.ndarray) -> Cube:
        path = tmp_path / f"{times.sum()}.zarr"
        shutil.copytree(watershed.cube.path, path)
        array = zarr.open_group(path, mode="r+")["backscatter"]
        for time in np.flatnonzero(times):
            array[time] = np.random.default_rng(time).integers(-3000, -200, array.shape[1:], dtype=np.int16)
        unknown = watershed.cube.manifest.model_copy(update={"looks": None})
        return Cube(path, unknown)

    return alter


def test_held_out_dates_are_not_looked_at(altered, watershed, training: np.ndarray) -> None:
    """References, masks, looks and digest are those of the training dates; a training date does change them."""
    config = watershed.config().retrieval
    rare = training & (np.cumsum(training) == 7)
    before, after, otherwise = (
        retrieve(altered(times), config, training) for times in (~training & training, ~training, rare)
    )
    assert before.digest() == after.digest()
    assert before.speckle == after.speckle
    np.testing.assert_array_equal(before.error.edges, after.error.edges)
    for name in ("shift", "variance"):
        np.testing.assert_array_equal(*(getattr(each.error, name)[training] for each in (before, after)))
    assert otherwise.digest() != before.digest()


def test_digest_knows_slope_and_masks(watershed, training: np.ndarray) -> None:
    sloped = ("retrieval.per_orbit=false", "retrieval.incidence_slope=true")
    digests = {
        retrieve(watershed.cube, watershed.config(*changes).retrieval, training).digest()
        for changes in ((), ("retrieval.min_sensitivity_db=3",), sloped[:1], sloped)
    }
    assert len(digests) == 4


def test_slope_of_the_incidence_angle_is_about_the_simulated_one(silent_watershed, training: np.ndarray) -> None:
    """-0.12 dB a degree: the orbits see other days, so that the median over pixels is what can be told."""
    changes = "retrieval.per_orbit=false", "retrieval.incidence_slope=true", "retrieval.multilook_m=0"
    extent = retrieve(silent_watershed.cube, silent_watershed.config(*changes).retrieval, training).extents[0]
    forest = extent.references[0].sensitivity < 1.5  # little moisture to confound it
    assert forest.sum() > 50
    assert np.median(extent.slope[forest]) == pytest.approx(-0.12, abs=0.03)


def test_slopes_are_told_with_their_error_and_refused_where_one_angle_is_seen(
    watershed, training: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    config = watershed.config("retrieval.per_orbit=false", "retrieval.incidence_slope=true").retrieval
    caplog.set_level(logging.INFO)
    extent = retrieve(watershed.cube, config, training).extents[0]
    told = re.search(
        r"extent 1: sigma changes by (\S+) dB a degree .*standard error of a pixel's slope (\S+)", caplog.text
    )
    assert told
    assert float(told[1]) == pytest.approx(np.nanmedian(extent.slope), abs=6e-4)
    assert float(told[2]) == pytest.approx(np.nanmedian(extent.slope_error), abs=6e-4)
    one = watershed.cube.orbits == watershed.cube.orbits[0]
    with pytest.raises(DataError, match="no pixel is seen under two angles"):
        retrieve(watershed.cube, config, training & one)


def test_masked_is_nan_never_0(watershed, training: np.ndarray) -> None:
    """Forest, town and lake are masked on every date, and the error with them."""
    config = watershed.config("retrieval.multilook_m=0").retrieval
    fitted = retrieve(watershed.cube, config, training)
    found = labels(fitted, watershed.cube)
    for orbit in np.unique(watershed.cube.orbits):
        references, times = fitted.extents[0].references[int(orbit)], watershed.cube.orbits == orbit
        weak = ~((references.sensitivity >= 2) & (references.mean > -20))
        assert weak.any()
        assert np.isnan(found.ssm[times][:, weak]).all()
        assert np.isnan(found.standard_error[times][:, weak]).all()
        assert np.isfinite(found.ssm[times][:, ~weak]).all()


def test_frozen_dates_are_neither_fitted_on_nor_labelled(watershed, training: np.ndarray) -> None:
    """Masked everywhere, a training date is as good as not there."""
    config = watershed.config().retrieval
    stack = load_stack(watershed.cube, config)
    shape = stack.extents[0].packed.shape[1:]
    frozen = int(np.flatnonzero(training)[3])
    masks = DateMasks({(0, frozen): np.ones(shape, bool)}, (shape,))
    without = training.copy()
    without[frozen] = False
    masked = fit_retrieval(watershed.cube, stack, config, training, masks)
    assert masked.digest() == retrieve(watershed.cube, config, without).digest()
    assert np.isnan(masked.labels(0, np.array([frozen]), EVERYTHING, EVERYTHING).ssm).all()


def test_labels_of_a_patch_are_those_of_the_extent(watershed, training: np.ndarray) -> None:
    fitted = retrieve(watershed.cube, watershed.config().retrieval, training)
    whole, times = labels(fitted, watershed.cube), np.array([5, 9])
    part = fitted.labels(0, times, slice(3, 11), slice(2, 7))
    np.testing.assert_array_equal(part.ssm, whole.ssm[times, 3:11, 2:7])
    np.testing.assert_array_equal(part.standard_error, whole.standard_error[times, 3:11, 2:7])


def test_too_few_training_dates_are_refused(watershed) -> None:
    few = np.zeros(len(watershed.cube.times), bool)
    few[:8] = True
    with pytest.raises(SplitError, match=r"4 training dates of orbit 71 .* retrieval.min_dates=5; hold out fewer"):
        retrieve(watershed.cube, watershed.config().retrieval, few)
    retrieve(watershed.cube, watershed.config("retrieval.per_orbit=false").retrieval, few)


def test_an_orbit_without_training_dates_is_masked_and_told(watershed, training: np.ndarray, caplog) -> None:
    evening = watershed.cube.orbits == 137
    found = labels(retrieve(watershed.cube, watershed.config().retrieval, training & evening), watershed.cube)
    assert np.isnan(found.ssm[~evening]).all()
    assert np.isfinite(found.ssm[evening]).any()
    assert "images of orbit 71 have no training date: they are masked" in caplog.text


def test_slope_and_orbits_at_once_are_refused(watershed, santa_barbara, training: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"retrieval.incidence_slope=true wants retrieval.per_orbit=false"):
        retrieve(watershed.cube, watershed.config("retrieval.incidence_slope=true").retrieval, training)
    changes = "retrieval.per_orbit=false", "retrieval.incidence_slope=true"
    everything = np.ones(22, bool)
    with pytest.raises(DataError, match=r"needs the incidence angle of orbit 137, which the area lacks"):
        retrieve(santa_barbara.cube, santa_barbara.config(*changes).retrieval, everything)


def test_a_polarisation_that_is_not_there_is_refused(watershed) -> None:
    with pytest.raises(DataError, match=r"retrieval.polarisation=HH is not in the images; they have V"):
        load_stack(watershed.cube, watershed.config("retrieval.polarisation=HH").retrieval)


@pytest.mark.parametrize(("metres", "least", "most"), [(150, 0.85, 0.95), (300, 0.95, 0.99)])
def test_cap_of_santa_barbara(santa_barbara, metres: int, least: float, most: float) -> None:
    """Pooled over the five extents."""
    config, cube = santa_barbara.config(f"retrieval.multilook_m={metres}").retrieval, santa_barbara.cube
    fitted = retrieve(cube, config, np.ones(len(cube.times), bool))
    assert 10 < fitted.speckle.looks < 14
    found = [fitted.labels(extent, np.arange(22), EVERYTHING, EVERYTHING) for extent in range(5)]
    names = "ssm", "standard_error"
    ssm, error = (np.concatenate([getattr(each, name).ravel() for each in found]) for name in names)
    assert least < 1 - np.nanmean(error**2) / np.nanvar(ssm) < most
