"""The server that models are served by, asked as it is over HTTP but within this process."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from mlssm import bundle
from mlssm.bundle import Bundle
from mlssm.data.spec import FeatureSpec
from mlssm.errors import ConfigError
from mlssm.inference.serving import SoilMoistureModel, example
from mlssm.tracking import pyfunc as served
from mlssm.tracking import scoring
from mlssm.tracking.model_files import write_model_files

SPEC = FeatureSpec(("precipitation", "temperature"), ("slope",), (0.4, 14.0, 8.0), (0.7, 5.0, 4.0))
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder(watershed, tmp_path_factory):
    config = watershed.config("model.hidden=[4]", "model.lag=2")
    torch.manual_seed(1)
    place = {"crs": "EPSG:32611", "pixel_m": 90.0, "pass_is_evening": True}
    made = Bundle.of(config, SPEC, label_digest="1", cube_digest="2", **place)
    path = tmp_path_factory.mktemp("scoring") / "model"
    bundle.save(made, config.model.build(SPEC, spread=False).state_dict(), path)
    write_model_files(path, made)
    return path


@pytest.fixture(scope="module")
def environment() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(scoring.MODEL, raising=False)
        yield patch


@pytest.fixture(scope="module")
def guarded(folder, environment) -> TestClient:
    """The server behind its guard."""
    environment.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")  # which the server sets, and would leave
    environment.setenv(scoring.MODEL, str(folder))
    environment.setenv(scoring.MOST_BYTES, "20000")
    return TestClient(scoring.app())


@pytest.fixture(scope="module")
def plain(guarded) -> TestClient:
    """What `mlflow models serve` runs."""
    return TestClient(guarded.app.server)


@pytest.fixture
def inputs(folder) -> dict[str, list]:
    found = example(SPEC, SoilMoistureModel.load(folder).restored.bundle.window)
    return {name: values.tolist() for name, values in found.items()}


def ask(client: TestClient, **told):
    return client.post("/invocations", content=json.dumps(told), headers=JSON)


def test_both_servers_give_the_models_map(guarded, plain, inputs, folder):
    expected = SoilMoistureModel.load(folder).predict(inputs)
    for client in (guarded, plain):
        answer = ask(client, inputs=inputs)
        assert answer.status_code == 200
        np.testing.assert_allclose(answer.json()["predictions"], expected, rtol=1e-6)


def test_too_many_pixels_are_answered_with_413(plain, inputs, monkeypatch):
    monkeypatch.setattr(served, "MOST_PIXELS", 4)
    assert ask(plain, inputs=inputs).status_code == 200  # 1 patch of 2 x 2
    answer = ask(plain, inputs={name: values * 2 for name, values in inputs.items()})
    assert answer.status_code == 413
    assert "the request has 8 pixels (2 patches of 2 x 2), and 4 are taken at once" in answer.json()["message"]


def test_too_many_thresholds_are_refused(plain, inputs):
    answer = ask(plain, inputs=inputs, params={"thresholds": np.linspace(0.1, 0.9, 17).tolist()})
    assert answer.status_code == 400
    assert "17 thresholds are asked for; ask for 16 at most" in answer.json()["message"]


def test_a_large_body_is_answered_with_413_and_not_read_on(guarded):
    answer = guarded.post("/invocations", content=b"0" * 20_001, headers=JSON)
    assert answer.status_code == 413
    assert "the body has 20001 bytes, and 20000 are taken" in answer.json()["message"]

    def parts() -> Iterator[bytes]:
        for _ in range(4):
            yield b"0" * 8_000

    answer = guarded.post("/invocations", content=parts(), headers=JSON)  # whose length is not stated
    assert answer.status_code == 413
    assert "more than 20000 bytes" in answer.json()["message"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"inputs": {"weather": [1]}}, "there is no input 'weather'; there are dynamic, static"),
        ({"params": {"threshold": [0.6]}}, "there is no param 'threshold'; there are level, thresholds"),
        ({"param": {"level": 0.9}}, "there is no field 'param'; there are inputs, params"),
    ],
)
def test_unknown_names_are_refused(guarded, inputs, more, message):
    told = {"inputs": {**inputs, **more.pop("inputs", {})}, **more}
    answer = ask(guarded, **told)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_what_is_implausible_or_no_json_is_refused_by_both(guarded, plain, inputs):
    kelvin = (np.array(inputs["dynamic"]) + 273.15).tolist()
    for client in (guarded, plain):
        answer = ask(client, inputs={**inputs, "dynamic": kelvin})
        assert answer.status_code == 400
        assert "none is outside -89.4..57.7 (degC)" in answer.json()["message"]
        answer = client.post("/invocations", content=b"{", headers=JSON)
        assert answer.status_code == 400


def test_the_server_is_told_its_model(environment, monkeypatch):
    monkeypatch.delenv(scoring.MODEL, raising=False)
    with pytest.raises(ConfigError, match="MLSSM_SERVED_MODEL is not set"):
        scoring.app()
    monkeypatch.setenv(scoring.MODEL, "models")
    monkeypatch.setenv(scoring.MOST_BYTES, "64MB")
    with pytest.raises(ConfigError, match="MLSSM_SERVED_BYTES=64MB is no number of bytes"):
        scoring.app()
