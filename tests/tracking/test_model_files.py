import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mlssm import bundle
from mlssm.bundle import Bundle
from mlssm.data.spec import FeatureSpec
from mlssm.inference.serving import SoilMoistureModel, example
from mlssm.tracking.model_files import pyfunc, write_model_files
from mlssm.uncertainty.calibration import Calibration
from mlssm.uncertainty.held_out import HeldOutMap
from mlssm.variables import unit_of

SPEC = FeatureSpec(
    dynamic=("precipitation", "temperature"),
    static=("elevation", "soil_1", "soil_2", "ndvi", "ndvi_available"),
    means=(0.4, 14.25, 812.5, 0.0, 0.0, 0.3, 0.0),
    stds=(0.7, 5.5, 100.0, 1.0, 1.0, 0.15, 1.0),
)
SERVER_SECONDS = 120  # until it answers; it imports for seconds


@pytest.fixture(scope="module")
def folder(watershed, tmp_path_factory) -> Path:
    config = watershed.config("model.hidden=[4]", "model.lag=2")
    torch.manual_seed(1)
    place = {"crs": "EPSG:32611", "pixel_m": 90.0, "pass_is_evening": True}
    made = Bundle.of(config, SPEC, label_digest="1", cube_digest="2", **place)
    path = tmp_path_factory.mktemp("files") / "model"
    bundle.save(made, config.model.build(SPEC, spread=False).state_dict(), path)
    write_model_files(path, made)
    return path


@pytest.fixture(scope="module")
def sure(folder, tmp_path_factory) -> Path:
    """The same model with a calibration."""
    made, weights = bundle.load(folder)
    rng, side = np.random.default_rng(0), (4, 4)
    scores = [rng.random((2, *side), np.float32) for _ in range(9)]
    constant = np.full(side, 4, np.float32)
    maps = [HeldOutMap(time, 0, mean, label, constant, constant / 40) for time, (mean, label) in enumerate(scores)]
    fitted, tensors = bundle.pack({"calibration": Calibration.fit(maps, [2020], "made up").state()})
    path = tmp_path_factory.mktemp("sure") / "model"
    bundle.save(made.model_copy(update={"fitted": fitted}), {**weights, **tensors}, path)
    write_model_files(path, made)
    return path


@pytest.fixture
def inputs(folder) -> dict[str, np.ndarray]:
    return example(SPEC, SoilMoistureModel.load(folder).restored.bundle.window)


def test_the_bundle_is_a_small_flat_model(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {"bundle.json", "weights.pt", "MLmodel", "requirements.txt", "conda.yaml", "input_example.json"}
    assert all(path.is_file() for path in folder.iterdir())
    assert not [name for name in names if name.endswith(".pkl")]
    own = sum(path.stat().st_size for path in folder.iterdir() if path.name not in ("bundle.json", "weights.pt"))
    assert own < 100_000
    assert bundle.load(folder)[0].channels == SPEC
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_it_needs_is_pinned_and_can_be_asked_for(folder):
    lines = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in lines] == ["mlssm", "mlflow", "numpy", "torch"]
    assert not [line for line in lines if "+" in line or line.endswith("==")]


def test_the_model_tells_its_channels_in_order_with_units(folder):
    told = yaml.safe_load((folder / "MLmodel").read_text())["metadata"]["mlssm"]
    assert told["dynamic"] == ["precipitation [mm/day]", "temperature [degC]"]
    assert told["static"][0] == "elevation [m]"
    assert told["static"][1] == "soil_1 [share, 0..1]"
    assert told["static"][4] == "ndvi_available [0 or 1]"
    assert (told["lag_days"], told["window"], told["pixel_m"]) == (2, "sequence", 90.0)


def test_an_aggregated_window_has_sums():
    assert unit_of("precipitation", aggregated=True) == "mm in the window"
    assert unit_of("temperature", aggregated=True) == "degC"


def test_mlflow_loads_it_and_its_example_gives_the_networks_map(folder, inputs):
    model = pyfunc().load_model(str(folder))
    expected = SoilMoistureModel.load(folder).predict(inputs)
    np.testing.assert_array_equal(model.predict(inputs), expected)
    np.testing.assert_array_equal(model.predict(model.input_example), expected)


def test_mlflow_gives_intervals_where_they_are_asked(sure, inputs):
    from mlflow.exceptions import MlflowException

    model = pyfunc().load_model(str(sure))
    plain = model.predict(inputs)
    found = model.predict(inputs, params={"level": 0.8, "thresholds": [0.6]})
    expected = SoilMoistureModel.load(sure).predict_intervals(inputs, 0.8, [0.6])
    assert found.keys() == expected.keys() == {"ssm", "lower", "upper", "standard_error", "exceedance"}
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    np.testing.assert_array_equal(found["ssm"], plain)
    alone = model.predict(inputs, params={"thresholds": [0.6]})
    np.testing.assert_array_equal(
        alone["lower"], SoilMoistureModel.load(sure).predict_intervals(inputs, 0.9, [])["lower"]
    )
    with pytest.raises(MlflowException, match="must be above 0 and below 1, not 2"):
        model.predict(inputs, params={"level": 2.0})


def test_a_model_without_a_calibration_refuses_intervals(folder, inputs):
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="keeps no calibration"):
        pyfunc().load_model(str(folder)).predict(inputs, params={"level": 0.9})


def test_mlflow_refuses_what_does_not_fit(folder, inputs):
    from mlflow.exceptions import MlflowException

    model = pyfunc().load_model(str(folder))
    for wrong, message in (
        ({**inputs, "dynamic": inputs["dynamic"][:, :1]}, "does not match expected shape"),
        ({"static": inputs["static"]}, "missing inputs"),
        ({**inputs, "static": inputs["static"] * np.float32(np.nan)}, "NaN|values other than 0 and 1"),
    ):
        with pytest.raises(MlflowException, match=message):
            model.predict(wrong)


def test_writing_again_replaces(folder):
    before = (folder / "requirements.txt").read_text()
    (folder / "requirements.txt").write_text("")
    write_model_files(folder, bundle.load(folder)[0])
    assert (folder / "requirements.txt").read_text() == before


@pytest.fixture
def server(sure) -> Iterator[str]:
    """The address of a real `mlflow models serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(sure), "--env-manager", "local"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        [*command, "-h", "127.0.0.1", "-p", str(port)], env=environment, start_new_session=True, **quiet
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _await(f"{address}/ping", process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("mlflow models serve did not come up")


def post(address: str, inputs: dict[str, list], **more: dict) -> tuple[int, dict]:
    body = json.dumps({"inputs": inputs, **more}).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.exhaustive
def test_mlflow_serves_it_over_http(server, sure, inputs):
    plain = {name: values.tolist() for name, values in inputs.items()}
    status, answer = post(server, plain)
    assert status == 200
    model = SoilMoistureModel.load(sure)
    np.testing.assert_allclose(answer["predictions"], model.predict(inputs), rtol=1e-6)
    status, answer = post(server, plain, params={"level": 0.9, "thresholds": [0.6]})
    assert status == 200
    for name, values in model.predict_intervals(inputs, 0.9, [0.6]).items():
        np.testing.assert_allclose(answer["predictions"][name], values, rtol=1e-6)
    channels = {**plain, "dynamic": inputs["dynamic"][:, :, :1].tolist()}
    missing = {**plain, "dynamic": np.where(inputs["dynamic"] > 10, None, inputs["dynamic"]).tolist()}
    named = {"weather": plain["dynamic"], "static": plain["static"]}
    for wrong, message in (
        (channels, "does not match expected shape"),
        (missing, "channel 'temperature' has 8 missing values (NaN); leave such pixels and days out"),
        (named, "Model is missing inputs ['dynamic']"),
    ):
        status, answer = post(server, wrong)
        assert status == 400
        assert message in answer["message"]
