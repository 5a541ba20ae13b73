import dataclasses
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tests.elsewhere import Elsewhere

from mlssm.config import DaskConfig
from mlssm.crew import Crew
from mlssm.errors import ConfigError, DataError
from mlssm.retrieval.fit import Retrieval, fit_extents, fit_retrieval, time_of_day
from mlssm.retrieval.labels import ExtentRetrieval
from mlssm.retrieval.masks import DateMasks
from mlssm.retrieval.reasons import Reason
from mlssm.retrieval.reasons_file import write_reasons
from mlssm.retrieval.references import References
from mlssm.retrieval.stack import load_stack
from mlssm.shipping import Shipment
from mlssm.workers import Workers

WHOLE = slice(None), slice(None)
ALL = slice(None)


@pytest.fixture(scope="module")
def fitted(watershed: Any) -> Any:
    def fit(*changes: str, frozen: int | None = None) -> Retrieval:
        config = watershed.config("retrieval.multilook_m=90", *changes).retrieval
        stack = load_stack(watershed.cube, config)
        shape = stack.extents[0].packed.shape[1:]
        masks = {} if frozen is None else {(0, frozen): np.full(shape, Reason.FROZEN, np.uint16)}
        training = np.arange(len(watershed.cube.times)) % 4 > 0
        return fit_retrieval(watershed.cube, stack, config, training, DateMasks(masks, (shape,)))

    return fit


def test_what_has_no_label_has_a_reason_and_what_has_one_has_none(fitted: Any, watershed: Any) -> None:
    found = fitted("retrieval.polarisation=null", "retrieval.min_sensitivity_speckle=6", frozen=3)
    times = np.arange(len(watershed.cube.times))
    labels, flags = found.labels(0, times, *WHOLE), found.masked(0, times, *WHOLE)
    np.testing.assert_array_equal(flags == 0, np.isfinite(labels.ssm))
    assert ((flags[3] & Reason.FROZEN) != 0).all()
    assert not (flags[4] & Reason.FROZEN).any()
    assert ((flags[4] & Reason.LOW_SENSITIVITY) != 0).any()
    part = found.masked(0, times[2:5], slice(3, 9), slice(1, 4))
    np.testing.assert_array_equal(part, flags[2:5, 3:9, 1:4])


def test_mornings_and_evenings_are_the_orbits_where_each_has_one(fitted: Any, watershed: Any) -> None:
    shared = fitted("retrieval.per_orbit=false", "retrieval.per_time_of_day=true")
    assert set(shared.extents[0].references) == {-1, -2}
    times = np.arange(len(watershed.cube.times))
    one, two = (each.labels(0, times, *WHOLE).ssm for each in (shared, fitted()))
    np.testing.assert_array_equal(one, two)
    again = ExtentRetrieval.restored(shared.extents[0].state())
    sigma = shared.stack.extents[0].backscatter(times, *WHOLE)
    np.testing.assert_array_equal(again.retrieve(sigma, watershed.cube.orbits, *WHOLE)[0], one)


def test_an_orbit_is_of_the_time_of_day_that_most_of_its_images_have() -> None:
    orbits = np.array([5, 5, 5, 7, 7, 9])
    morning = np.array([True, True, False, False, False, True])
    np.testing.assert_array_equal(time_of_day(orbits, morning), [-1, -1, -1, -2, -2, -1])
    np.testing.assert_array_equal(time_of_day(orbits[:3], morning[:3]), [0, 0, 0])


def test_choices_that_exclude_each_other_are_refused(fitted: Any) -> None:
    with pytest.raises(ConfigError, match=r"per_time_of_day=true wants retrieval\.per_orbit=false"):
        fitted("retrieval.per_time_of_day=true")


def test_a_value_far_below_the_dry_reference_is_no_label() -> None:
    level = References(*(np.full((1, 2), value) for value in (-12.0, -7.0, -10.0)))
    usable, none = {0: np.ones((1, 2), bool)}, {0: np.zeros((1, 2), np.uint16)}
    found = ExtentRetrieval({0: level}, usable, {}, None, True, edge_below_db=10, reasons=none)
    sigma, orbits = np.array([[[-21.9, -22.1]], [[-9.5, np.nan]]]), np.array([1, 1])
    ssm, _ = found.retrieve(sigma, orbits, ALL, ALL)
    np.testing.assert_allclose(ssm, [[[0, np.nan]], [[0.5, np.nan]]])
    np.testing.assert_array_equal(
        found.masked(sigma, orbits, ALL, ALL), [[[0, Reason.EDGE_NOISE]], [[0, Reason.NOT_MEASURED]]]
    )


def test_layover_and_dense_forest_are_masked_where_asked(fitted: Any, watershed: Any) -> None:
    plain = fitted()
    hidden = fitted("retrieval.layover_shadow=true")
    forest = fitted("retrieval.forest_above_db=-7.5")
    for strict, reason in ((hidden, Reason.LAYOVER_SHADOW), (forest, Reason.DENSE_FOREST)):
        for key, flags in strict.extents[0].reasons.items():
            with_bit = (flags & reason) != 0
            np.testing.assert_array_equal(flags & ~np.uint16(reason), plain.extents[0].reasons[key])
            assert with_bit.any() == (reason == Reason.DENSE_FOREST)  # the simulated slopes are gentle
    cube = watershed.cube
    bare = type(cube)(cube.path, cube.manifest.model_copy(update={"polarisations": ("VV",)}))
    config = watershed.config("retrieval.forest_above_db=-7.5").retrieval
    none = DateMasks({}, (plain.stack.extents[0].packed.shape[1:],))
    with pytest.raises(DataError, match="forest_above_db needs images in VH"):
        fit_extents(bare, load_stack(bare, config), config, np.ones(len(cube.times), bool), none)


def test_water_is_the_same_in_a_mix_as_in_vv(fitted: Any) -> None:
    mixed, plain = (fitted(f"retrieval.polarisation={name}").extents[0].reasons for name in ("null", "VV"))
    for key, flags in plain.items():
        np.testing.assert_array_equal(mixed[key] & Reason.WATER, flags & Reason.WATER)
        assert (flags & Reason.WATER).any()


def test_reasons_beside_the_cube_are_read_by_xarray(
    fitted: Any, watershed: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their CF flags, at the working grid's coordinates; written once for a retrieval, and anew for another."""
    monkeypatch.setattr("mlssm.retrieval.bands.VALUES", 100)  # several bands
    (tmp_path / "own.zarr").symlink_to(watershed.cube.path)
    cube, retrieval = dataclasses.replace(watershed.cube, path=tmp_path / "own.zarr"), fitted(frozen=3)
    path = write_reasons(cube, retrieval, DaskConfig(workers=2))
    found = xr.open_zarr(path, consolidated=False)["reasons"]
    assert (found["time"].to_numpy().astype("datetime64[s]") == cube.times).all()
    x, y = retrieval.stack.working.grid.centres(retrieval.stack.working.extents[0])
    flags = found.sel(x=x, y=y).to_numpy()
    expected = retrieval.masked(0, np.arange(len(cube.times)), *WHOLE)
    np.testing.assert_array_equal(flags, expected)
    bit = dict(zip(found.attrs["flag_meanings"].split(), found.attrs["flag_masks"], strict=True))
    np.testing.assert_array_equal((flags[3] & bit["frozen"]) != 0, True)
    assert bit == {reason.name.lower(): int(reason) for reason in Reason if reason.name}
    stamp = (path / "zarr.json").stat().st_mtime_ns
    assert write_reasons(cube, fitted(frozen=3), DaskConfig()) == path
    assert (path / "zarr.json").stat().st_mtime_ns == stamp
    assert write_reasons(cube, fitted(frozen=4), DaskConfig()) != path


def test_reasons_are_written_alike_by_any_workers(
    fitted: Any, watershed: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlssm.shipping.LARGE", 300)
    retrieval, written = fitted("retrieval.edge_below_db=3", frozen=3), []
    for crew in (Crew(Workers(1), None), Crew(Elsewhere(), Shipment(tmp_path))):
        place = tmp_path / str(len(written))
        place.mkdir()
        (place / "own.zarr").symlink_to(watershed.cube.path)
        cube = dataclasses.replace(watershed.cube, path=place / "own.zarr")
        monkeypatch.setattr("mlssm.retrieval.reasons_file.open_crew", lambda *_, crew=crew: nullcontext(crew))
        path = write_reasons(cube, retrieval, DaskConfig())
        written.append({file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()})
    assert len(written[0]) > len(watershed.cube.times)
    assert written[0] == written[1]
    assert [*tmp_path.glob("*.npy")]
