import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mlssm.bundle import check_channels, files, load, load_fitted, nested, pack, save, upgrades
from mlssm.data.spec import FeatureSpec
from mlssm.errors import RunError
from mlssm.inference.restore import restore
from mlssm.response.forecaster import Forecaster

FEATURES = FeatureSpec(
    dynamic=("precipitation", "temperature"),
    static=("elevation", "soil_1", "ndvi", "ndvi_available"),
    means=(3.1, 14.25, 812.5, 0.0, 0.1 + 0.2, 0.0),
    stds=(7.0, 5.5, 1e3, 1.0, 0.15, 1.0),
)
KEPT = Path(__file__).parent  # a small bundle of each format, as it was written when that was the present one
BUNDLE = load(KEPT / "format_2")[0].model_copy(
    update={"channels": FEATURES, "pixel_m": 150.0, "pass_is_evening": False}
)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {"cell.weight": torch.randn(4, 3, generator=generator), "steps": torch.tensor(7)}


@pytest.fixture
def saved(tmp_path: Path, state) -> Path:
    save(BUNDLE, state, tmp_path / "model")
    return tmp_path / "model"


def test_a_bundle_comes_back_as_it_was(saved, state):
    bundle, weights = load(saved)
    assert bundle == BUNDLE
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], state[name]) and weights[name].dtype == state[name].dtype for name in state)
    assert sorted(path.name for path in saved.iterdir()) == ["bundle.json", "weights.pt"]


def test_the_weights_are_tensors_only_and_no_larger_than_they_must_be(tmp_path):
    large = torch.zeros(100_000)
    save(BUNDLE, {"view": large[:10]}, tmp_path)
    assert list(torch.load(tmp_path / "weights.pt", weights_only=True)) == ["view"]
    assert (tmp_path / "weights.pt").stat().st_size < 5000
    with pytest.raises(TypeError, match="'epoch' is a int"):
        save(BUNDLE, {"epoch": 3}, tmp_path)


def test_large_arrays_are_written_as_small_ones_are(tmp_path, monkeypatch):
    """Straight from where they lie: a file that may be written, one that may not, and an array of few values."""
    values = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / "maps.npy", values)
    mapped = [np.load(tmp_path / "maps.npy", mmap_mode=mode) for mode in ("r+", "r")]
    kept = {"maps": [*mapped, values[:, ::2], np.broadcast_to(np.float32(3), (3, 4))], "none": np.zeros((0, 4), bool)}
    for folder, large in (("copied", 2**30), ("as they are", 1)):
        monkeypatch.setattr(nested, "LARGE", large)
        monkeypatch.setattr(files, "LARGE", large)
        described, tensors = pack(kept)
        save(BUNDLE.model_copy(update={"fitted": described}), tensors, tmp_path / folder)
    first, second = ((tmp_path / folder / "weights.pt").read_bytes() for folder in ("copied", "as they are"))
    assert first == second
    assert tensors["fitted.0"].data_ptr() == mapped[0].ctypes.data
    found = load_fitted(tmp_path / "as they are")
    for one, other in zip([*found["maps"], found["none"]], [*kept["maps"], kept["none"]], strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


def test_the_description_is_sorted_and_readable(saved):
    text = (saved / "bundle.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_saving_again_replaces(saved, state):
    save(BUNDLE.model_copy(update={"pixel_m": 30.0}), {"a": torch.ones(1)}, saved)
    bundle, weights = load(saved)
    assert (bundle.pixel_m, list(weights)) == (30.0, ["a"])


def test_no_secret_and_nothing_of_the_training_alone_is_in_it(saved):
    inner = json.loads((saved / "bundle.json").read_text())["bundle"]
    assert not inner.keys() & {"tracking", "optimiser", "trainer", "sampler", "split", "config"}


@pytest.mark.parametrize("name", ["bundle.json", "weights.pt"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(RunError, match=rf"{name} cannot be read: No such file"):
        load(saved)


@pytest.mark.parametrize("name", ["bundle.json", "weights.pt"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_file_is_named(saved, name, keep):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(RunError, match=name):
        load(saved)


def test_one_flipped_bit_in_the_weights_is_found(saved):
    content = bytearray((saved / "weights.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (saved / "weights.pt").write_bytes(content)
    with pytest.raises(RunError, match=r"weights\.pt is damaged"):
        load(saved)


def test_weights_of_another_bundle_are_refused(saved, tmp_path):
    save(BUNDLE, {"other": torch.ones(2)}, tmp_path / "other")
    (tmp_path / "other" / "weights.pt").replace(saved / "weights.pt")
    with pytest.raises(RunError, match=r"not the file that bundle\.json describes"):
        load(saved)


def change(folder: Path, **values) -> None:
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(description | values))


def test_a_newer_format_asks_for_an_update(saved):
    newer = upgrades.FORMAT + 1
    change(saved, format=newer, another_key=1)
    with pytest.raises(RunError, match=f"bundle format {newer}, this version reads up to {newer - 1}; update mlssm"):
        load(saved)


@pytest.mark.parametrize(
    "text", ["[]", "{}", "3", '{"format": 1}', '{"format": 2}', '{"format": "one"}', '{"format": 0}']
)
def test_json_that_is_no_bundle_is_refused(saved, text):
    (saved / "bundle.json").write_text(text)
    with pytest.raises(RunError, match="is not a model bundle"):
        load(saved)


def test_a_missing_key_and_an_unknown_key_are_named(saved):
    inner = json.loads((saved / "bundle.json").read_text())["bundle"]
    change(saved, bundle={key: value for key, value in inner.items() if key != "crs"})
    with pytest.raises(RunError, match=r"bundle\.crs"):
        load(saved)
    change(saved, bundle=inner | {"colour": "red"})
    with pytest.raises(RunError, match=r"bundle\.colour"):
        load(saved)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stds": (1.0,) * 5}, "6 feature channels have 6 means and 5 stds"),
        (
            {"stds": (1.0, 0.0, 1.0, 1.0, 1.0, 1.0)},
            "'temperature' cannot be scaled by mean 14.25 and standard deviation 0",
        ),
        ({"means": (float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0)}, "'precipitation' cannot be scaled by mean nan"),
        ({"dynamic": ("ndvi", "temperature")}, "repeat: ndvi, temperature"),
    ],
)
def test_a_scaling_that_cannot_work_is_refused(values, message):
    with pytest.raises(RunError, match=message):
        dataclasses.replace(FEATURES, **values)


def test_the_same_refusal_when_it_comes_from_a_file(saved):
    inner = json.loads((saved / "bundle.json").read_text())["bundle"]
    change(saved, bundle=inner | {"channels": inner["channels"] | {"stds": [0.0] * 6}})
    with pytest.raises(RunError, match="'precipitation' cannot be scaled"):
        load(saved)


@pytest.mark.parametrize(
    ("kind", "wanted", "found", "message"),
    [
        ("dynamic", FEATURES.dynamic, ("precipitation",), "dynamic channels missing: temperature$"),
        ("static", ("soil_1", "ndvi"), ("soil_2", "ndvi"), "missing: soil_1; not known to the model: soil_2$"),
        (
            "dynamic",
            FEATURES.dynamic,
            FEATURES.dynamic[::-1],
            "in the order temperature, precipitation, the model's is",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(kind, wanted, found, message):
    with pytest.raises(RunError, match=message):
        check_channels(kind, wanted, found)


def test_data_that_fit_pass():
    check_channels("dynamic", FEATURES.dynamic, list(FEATURES.dynamic))


EXPECTED = torch.tensor([[0.63706005, 0.62396771], [0.65219909, 0.62650299]])  # of the version that wrote format 1


@pytest.mark.parametrize("number", [1, 2])
def test_a_bundle_that_any_version_wrote_loads_and_predicts_the_same(number):
    restored = restore(KEPT / f"format_{number}")
    dynamic = torch.linspace(-1, 1, 24).reshape(1, 3, 2, 2, 2)
    static = torch.linspace(0, 1, 12).reshape(1, 3, 2, 2)
    with torch.no_grad():
        found = restored.network(dynamic, static)
    torch.testing.assert_close(found.mean[0, 0], EXPECTED, rtol=0, atol=1e-6)
    assert found.spread is not None
    assert (restored.bundle.window.lag, restored.bundle.window.mode) == (3, "sequence")
    assert restored.bundle.images.multilook_m == 90


@pytest.mark.parametrize("number", [3, 4])
def test_a_response_that_any_version_kept_loads_and_predicts_the_same(number):
    restored = restore(KEPT / f"format_{number}")
    spec = restored.bundle.channels
    dynamic = torch.linspace(-1, 1, 2 * len(spec.dynamic) * 4).reshape(1, 2, len(spec.dynamic), 2, 2)
    static = torch.linspace(-1, 1, len(spec.static) * 4).reshape(1, len(spec.static), 2, 2)
    with torch.no_grad():
        found = restored.network(dynamic, static)
    expected = torch.tensor([[0.36521518, 0.37398934], [0.38276348, 0.39153761]])
    torch.testing.assert_close(found.mean[0, 0], expected, rtol=0, atol=1e-6)
    forecaster = Forecaster.restored(restored.fitted["forecaster"])
    assert float(forecaster.extents[0].form.forecast(np.array(1.0)).mean()) == pytest.approx(0.633884, abs=1e-6)
    assert forecaster.population.form.forecast(np.array(1.0)).item() == pytest.approx(0.633444, abs=1e-6)
    assert forecaster.phi == pytest.approx(0.258988, abs=1e-6)
    assert restored.fitted["retrieval"] is not None


def test_both_kept_bundles_say_the_same():
    assert load(KEPT / "format_1")[0] == load(KEPT / "format_2")[0]


def test_a_key_that_came_later_takes_what_its_absence_meant(saved, monkeypatch):
    inner = json.loads((saved / "bundle.json").read_text())["bundle"]
    images = {key: value for key, value in inner["images"].items() if key != "water_below_db"}
    change(saved, bundle=inner | {"images": images})
    with pytest.raises(RunError, match=r"bundle\.images\.water_below_db: Field required"):
        load(saved)
    monkeypatch.setattr(upgrades, "LATER", {"images.water_below_db": -17.5})
    assert load(saved)[0].images.water_below_db == -17.5


def test_a_family_that_is_not_installed_is_named(saved):
    inner = json.loads((saved / "bundle.json").read_text())["bundle"]
    change(saved, bundle=inner | {"model": inner["model"] | {"family": "nowhere.Settings"}})
    with pytest.raises(RunError, match=r"bundle\.model.*family=nowhere\.Settings cannot be imported"):
        load(saved)
