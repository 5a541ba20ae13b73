import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue
from tests.forked import run_script

from mlssm.cli import explain, for_hydra

REPOSITORY = Path(__file__).resolve().parents[1]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a script in an empty folder."""

    def start(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(REPOSITORY / f"{script}.py"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return start


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["modle.lag=3"], "unknown configuration key 'modle.lag'; did you mean model.lag?; known here: datamodule,"),
        (["model.lagg=3"], "unknown configuration key 'model.lagg'; did you mean model.lag?; known here: lag, window"),
        (["model.lag.x=3"], "unknown configuration key 'model.lag.x'"),
        (["nosuch=1"], "unknown configuration key 'nosuch'"),
        (["split=by_yeer"], "unknown choice split=by_yeer; choose one of by_block, by_date, by_season,"),
        (["datamodule=sentinel"], "unknown choice datamodule=sentinel; choose one of earth_engine, geotiff, opera"),
        (["datamodule=opera_rtc"], "datamodule.root is not set; give it on the command line: datamodule.root=VALUE"),
        (["seed=${nope}"], "seed: Interpolation key 'nope' not found"),
        (["model.lag"], "Error parsing override 'model.lag'"),
        (["model.hidden=[1"], "no viable alternative at input '[1'"),
        (["datamodule=null"], "Config group override must be a string or a list. Got NoneType; given: datamodule=null"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_told_in_two_lines(tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = run_script(REPOSITORY / "train.py", *arguments, folder=tmp_path)
    lines = ended.stderr.strip().splitlines()
    assert ended.returncode == 1
    assert lines[-1].startswith(f"error: {said}")
    assert len(lines) <= 2
    # a second line is Hydra's, which names the overrides
    assert all(line.startswith("Error executing job with overrides: ") for line in lines[:-1])
    assert ended.stdout == ""
    assert not (tmp_path / "data").exists()


def test_layers_have_names_of_the_users_own() -> None:
    told = ["datamodule.layers.clay={paths:a.tif}", "layers.clay.paths=[a]", "datamodule.layers=null", "seed=1"]
    assert for_hydra(told) == [f"++{told[0]}", f"++{told[1]}", *told[2:]]


@pytest.mark.parametrize("begins", ["97839e24", "12345678", "123e4567"])
@pytest.mark.parametrize("key", ["run", "resume", "fork", "warm_start"])
def test_the_beginning_of_a_run_id_is_no_number(key: str, begins: str) -> None:
    (told,) = for_hydra([f"{key}={begins}"])
    assert OverridesParser.create().parse_override(told).value() == begins


def test_only_run_ids_are_quoted() -> None:
    told = ["seed=12", "model.lag=1,2", "run=latest", "run=models:/mlssm@champion", "resume='97839e24'", "fork=9f1"]
    assert for_hydra(told) == told


def test_predict_wants_a_training(tmp_path: Path) -> None:
    ended = run_script(REPOSITORY / "predict.py", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no finished training with a model in experiment 'mlssm'")
    assert ended.stderr.endswith("train first with: python train.py\n")


def test_evaluate_wants_what_was_measured(run: Run) -> None:
    ended = run("evaluate")
    assert ended.returncode == 1
    assert ended.stderr == "error: insitu is not set; give it on the command line: insitu=VALUE\n"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = run_script(REPOSITORY / "train.py", "datamodule=opera_rtc", "datamodule.root=nowhere", folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == (
        "error: datamodule.root=nowhere is not a folder; set it to the area's folder"
    )
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("script", ["train", "predict", "evaluate"])
def test_help_lists_each_groups_choices(run: Run, tmp_path: Path, script: str) -> None:
    ended = run(script, "--help")
    assert ended.returncode == 0
    assert ended.stderr == ""
    for group in (path for path in (REPOSITORY / "conf").iterdir() if path.is_dir() and path.name != "hydra"):
        choices = ", ".join(sorted(path.stem for path in group.glob("*.yaml")))
        assert f"\n{group.name}: {choices}\n" in ended.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("script", ["train", "predict", "evaluate"])
def test_help_loads_nothing_heavy(tmp_path: Path, script: str) -> None:
    program = f"""
import runpy, sys
sys.argv = [{str(REPOSITORY / f"{script}.py")!r}, "--help"]
sys.path.insert(0, {str(REPOSITORY)!r})
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "mlflow", "pandas", "zarr", "xarray", "rasterio", "scipy", "numpy", "matplotlib", "lightning"}}
heavy.add("torchgeo")
print("LOADED", *sorted(heavy & set(sys.modules)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines()[-1] == "LOADED"


def test_the_programs_errors_are_told_without_traceback_and_bugs_with_one(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "job.yaml").write_text(
        "kind: data\nnumber: 15\nhydra:\n  run: {dir: .}\n  output_subdir: null\n"
    )
    (tmp_path / "job.py").write_text(
        "from pathlib import Path\nfrom mlssm.cli import command\nfrom mlssm.errors import DataError\n"
        "def job(values):\n"
        "    data, bug = DataError('dem.tif is broken'), ValueError('a bug')\n"
        "    full = OSError(28, 'x', 'last.ckpt')\n"
        "    known = {'data': data, 'bug': bug, 'stop': KeyboardInterrupt(), 'full': full}\n"
        "    if values['kind'] == 'told':\n"
        "        import os, time\n"
        "        os.kill(os.getpid(), values['number'])\n"
        "        time.sleep(5)\n"
        "    raise known[values['kind']]\n"
        "command(job, 'job', Path('conf'))\n"
    )

    run = partial(run_script, tmp_path / "job.py", folder=tmp_path)
    ended = run()
    # one line: Hydra's own list of overrides does not stand before it
    assert (ended.returncode, ended.stderr) == (1, "error: dem.tif is broken\n")
    stopped = run("kind=stop")
    assert (stopped.returncode, stopped.stderr) == (130, "interrupted\n")
    for number, name in ((15, "SIGTERM"), (1, "SIGHUP")):
        told = run("kind=told", f"number={number}")
        assert (told.returncode, told.stderr) == (128 + number, f"stopped by {name}\n")
    full = run("kind=full")
    assert (full.returncode, full.stderr) == (1, "error: last.ckpt: No space left on device; free some space there\n")
    bug = run("kind=bug")
    assert bug.returncode == 1
    assert "Traceback" in bug.stderr
    assert bug.stderr.splitlines()[-1] == "ValueError: a bug"


def test_a_log_that_cannot_be_written_is_told_once_at_most(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("seed: 0\nhydra:\n  run: {dir: .}\n  output_subdir: null\n")
    (tmp_path / "job.py").write_text(
        "import logging\nfrom pathlib import Path\nfrom mlssm.cli import command\n"
        "def job(values):\n"
        "    logging.getLogger().addHandler(logging.FileHandler('/dev/full'))\n"
        "    logging.getLogger('a').warning('a line')\n"
        "command(job, 'job', Path('.'))\n"
    )
    command = [sys.executable, "job.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr


def test_a_pipe_that_is_closed_does_not_fail_a_command(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("seed: 0\nhydra:\n  run: {dir: .}\n  output_subdir: null\n")
    (tmp_path / "job.py").write_text(
        "from pathlib import Path\nfrom mlssm.cli import command\n"
        "command(lambda values: print('a line'), 'job', Path('.'))\n"
    )
    script = f"{sys.executable} job.py | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.stdout, ended.stderr) == ("0\n", "")


def test_hydras_own_files_and_logs_hold_no_secret_also_in_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("uri: null\ntoken: null\nseed: 0\n")
    (tmp_path / "job.py").write_text(
        "from pathlib import Path\nfrom mlssm.cli import command\n"
        "def job(values):\n"
        "    assert (values['uri'], values['token']) == ('http://who:hunter2@host', 'hunter2'), values\n"
        "command(job, 'job', Path('.'))\n"
    )
    for more in ((), ("-m", "seed=1,2")):
        told = (*more, "uri=http://who:hunter2@host", "token=hunter2")
        ended = run_script(tmp_path / "job.py", *told, folder=tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert "hunter2" not in ended.stdout + ended.stderr
    written = [path for folder in ("outputs", "multirun") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert sum(path.name == "hydra.yaml" for path in written) == 3
    assert sum(path.name == "multirun.yaml" for path in written) == 1
    assert [path for path in written if "hunter2" in path.read_text()] == []


def test_what_is_not_known_is_told_in_one_line() -> None:
    assert explain(ConfigCompositionException("one\n  two")) == "one two"


def test_a_missing_value_is_told_by_its_whole_key() -> None:
    config = OmegaConf.create({"model": {"lag": "???"}})
    with pytest.raises(MissingMandatoryValue) as error:
        OmegaConf.to_container(config, throw_on_missing=True)
    assert explain(error.value) == "model.lag is not set; give it on the command line: model.lag=VALUE"
