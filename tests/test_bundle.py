import dataclasses
import json
from pathlib import Path

import pytest
import torch

from mlssm.bundle import Bundle, check_fit, load, save
from mlssm.data.spec import FeatureSpec
from mlssm.errors import RunError

FEATURES = FeatureSpec(
    dynamic=("precipitation", "temperature"),
    static=("elevation", "soil_1", "ndvi", "ndvi_available"),
    means=(3.1, 14.25, 812.5, 0.0, 0.1 + 0.2, 0.0),
    stds=(7.0, 5.5, 1e3, 1.0, 0.15, 1.0),
)
BUNDLE = Bundle(
    config={"model": {"lag": 3, "hidden": [16, 16], "window": "sequence"}, "soil": None, "seed": 0, "lr": 1e-3},
    features=FEATURES,
    label_digest="1ab",
    cube_digest="c0ffee",
    crs="EPSG:32611",
    pixel_m=150.0,
    pass_is_evening=False,
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


def test_the_description_is_sorted_and_readable(saved):
    text = (saved / "bundle.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_saving_again_replaces(saved, state):
    save(dataclasses.replace(BUNDLE, pixel_m=30.0), {"a": torch.ones(1)}, saved)
    bundle, weights = load(saved)
    assert (bundle.pixel_m, list(weights)) == (30.0, ["a"])


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, state):
    with pytest.raises(TypeError):
        save(dataclasses.replace(BUNDLE, config={"root": Path("x")}), state, tmp_path / "model")
    assert not (tmp_path / "model").exists()


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
    change(saved, format=2, another_key=1)
    with pytest.raises(RunError, match="bundle format 2, this version reads up to 1; update mlssm"):
        load(saved)


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"format": 1}', '{"format": "one"}'])
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
    change(saved, bundle=inner | {"features": inner["features"] | {"stds": [0.0] * 6}})
    with pytest.raises(RunError, match="'precipitation' cannot be scaled"):
        load(saved)


@dataclasses.dataclass(frozen=True)
class Names:
    dynamic: tuple[str, ...] = FEATURES.dynamic
    static: tuple[str, ...] = FEATURES.static


@pytest.mark.parametrize(
    ("available", "message"),
    [
        (Names(dynamic=("precipitation",)), "dynamic channels missing: temperature$"),
        (
            Names(static=("elevation", "soil_2", "ndvi")),
            "missing: soil_1, ndvi_available; not known to the model: soil_2$",
        ),
        (Names(dynamic=("temperature", "precipitation")), "in the order temperature, precipitation, the model's is"),
    ],
)
def test_data_that_do_not_fit_are_refused(available, message):
    with pytest.raises(RunError, match=message):
        check_fit(FEATURES, available)


def test_data_that_fit_pass():
    check_fit(FEATURES, Names())
    check_fit(FEATURES, FEATURES)
