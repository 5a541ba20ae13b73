import logging
from pathlib import Path

import pytest
import yaml

from mlssm.secrets import is_secret, mask_diff, mask_logs, mask_yaml, masked, without_password

PLAIN = "hunter2secret"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://who:{PLAIN}@host/db",
        f"postgresql://who:{PLAIN}@ss@host/db",
        f"postgresql://who:{PLAIN}/x@host/db",
        f"https://{PLAIN}@host/api",
        f"http\\://who\\:{PLAIN}@host\\:5000",  # as Hydra writes it in a sweep
        f"postgresql://host/db?sslmode=require&sslpassword={PLAIN}",
        f"https://x.blob.core.windows.net/c?sv=2024&sig={PLAIN}&se=2027",
        f"http://host?api_key={PLAIN}",
        f"s3://bucket?aws_secret_access_key={PLAIN}",
        f"AccountName=a;AccountKey={PLAIN};EndpointSuffix=core",
        f"+tracking.password={PLAIN}",
        f"MLFLOW_TRACKING_TOKEN='{PLAIN}'",
        f"Authorization: Bearer {PLAIN}",
        f"ghp_{PLAIN}{'a' * 20}",
    ],
)
def test_no_secret_is_left_in_a_text(text: str) -> None:
    shown = without_password(f"could not use {text} now")
    assert PLAIN not in shown
    assert "***" in shown
    assert shown.startswith("could not use ")
    assert shown.endswith(" now")


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1/runs/abc",
        "sqlite:////home/me@work/mlruns/mlflow.db?timeout=5",
        "run=models:/mlssm@champion sampler=two_pass evaluation.two_pass=true seed=3",
        "val/natural/rmse=0.28 sigma=-12.5 lag=7",
        "git@host:team/code.git",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_password(text) == text


@pytest.mark.parametrize("key", ["password", "sslpassword", "apiKey", "api_key", "accessKey", "sig", "tracking.token"])
def test_keys_that_look_secret(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize("key", ["sigma", "two_pass", "pass", "seed", "tracking.uri", "design", "author", "key"])
def test_keys_that_do_not(key: str) -> None:
    assert not is_secret(key)


def test_a_configuration_is_masked_by_its_keys_and_in_its_texts() -> None:
    config = {
        "tracking": {"uri": f"https://{PLAIN}@h", "api_key": PLAIN, "token": None, "experiment": "mlssm"},
        "cloud": {"credentials": {"id": PLAIN, "on": True}},
        "lags": [1, f"a?sig={PLAIN}"],
    }
    assert masked(config) == {
        "tracking": {"uri": "https://***@h", "api_key": "***", "token": None, "experiment": "mlssm"},
        "cloud": {"credentials": {"id": "***", "on": True}},
        "lags": [1, "a?sig=***"],
    }


def test_a_diff_keeps_its_code_and_loses_its_secrets() -> None:
    code = [
        "diff --git a/x.py b/x.py",
        "+    token = settings.token",
        "+def login(password: str, token=None) -> None:",
        '+    area = "santa_barbara"',
        "+token = tokenizer.next()",
        '+password = os.environ["PASSWORD"]',
    ]
    secret = [
        f'-password = "{PLAIN}"',
        f"+API_KEY={PLAIN}",
        f"+  secret: '{PLAIN}'  # of the server",
        f'+  "access_key": "{PLAIN}",',
        f"+uri: https://{PLAIN}@host",
        "+-----BEGIN OPENSSH PRIVATE KEY-----",
        f"+{PLAIN}{PLAIN}",
        "+-----END OPENSSH PRIVATE KEY-----",
    ]
    lines = mask_diff("\n".join([*code, *secret, *code])).split("\n")
    assert lines[: len(code)] == lines[-len(code) :] == code
    assert len(lines) == 2 * len(code) + len(secret)
    assert PLAIN not in "".join(lines)
    assert lines[len(code)] == '-password = "***"'
    assert lines[len(code) + 6] == "+***"


def test_a_yaml_file_is_masked_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"a: ${{b}}\nb: [1]\nuri: http://{PLAIN}@h\n")
    mask_yaml(path)
    assert yaml.safe_load(path.read_text()) == {"a": "${b}", "b": [1], "uri": "http://***@h"}
    before = path.stat().st_mtime_ns
    mask_yaml(path)
    assert path.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_log_record_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    factory = logging.getLogRecordFactory()
    try:
        mask_logs()
        mask_logs()
        logging.getLogger("anybody").warning("asking %s for %d", f"http://{PLAIN}@h", 3)
    finally:
        logging.setLogRecordFactory(factory)
    assert caplog.messages == ["asking http://***@h for 3"]
