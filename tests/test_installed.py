"""What is built and installed works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path

import numpy as np
import pytest
import rasterio

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
BUILT_FROM = ("src", "conf", "pyproject.toml", "README.md", "LICENSE")
COMMANDS = {f"mlssm-{name}": name for name in ("train", "predict", "evaluate", "verify")}
QUICK = (
    *("model=convlstm", "model.hidden=[4]", "model.lag=2", "trainer.max_epochs=1", "trainer.accelerator=cpu"),
    *("split=by_date", "patches.size=10", "evaluation.draws=100", "datamodule.simulation.size=60"),
    *("datamodule.simulation.seasons=1", "datamodule.simulation.stations=3", "datamodule.simulation.revisit_days=15"),
)
QUIET = ("--quiet", "--disable-pip-version-check", "--no-deps")


@dataclass(frozen=True)
class Installed:
    """The package in a folder of its own, and an empty folder to work in."""

    site: Path
    empty: Path

    def run(self, command: str, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a console command of the package, with nothing of the checkout in reach."""
        environment = {**os.environ, "PYTHONPATH": str(self.site), "PYTHONSAFEPATH": "1"}
        return subprocess.run(
            [sys.executable, str(self.site / "bin" / command), *arguments],
            **{"cwd": self.empty, "env": environment, "capture_output": True, "text": True, "timeout": seconds},
            check=False,
        )


def checked(*command: str | Path, cwd: Path) -> None:
    ended = subprocess.run([sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Source distribution, wheel from it, installed: without network."""
    folder = tmp_path_factory.mktemp("installed")
    source, built, site, empty = (folder / name for name in ("source", "built", "site", "empty"))
    for path in (source, built, empty):
        path.mkdir()
    for name in BUILT_FROM:  # a build leaves files behind where it is made
        path = REPOSITORY / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / name, **({"symlinks": True} if path.is_dir() else {}))
    # as a clone: what git tracks and its tag count, too
    git = "git -c user.name=tests -c user.email=tests@localhost"
    commands = "git init --quiet", "git add --all", f"{git} commit --quiet --message=all", f"{git} tag v7.8.9"
    for command in commands:
        subprocess.run(command.split(), cwd=source, check=True)
    checked("-c", f"from setuptools import build_meta; build_meta.build_sdist({str(built)!r})", cwd=source)
    shutil.rmtree(source)
    (archive,) = built.glob("*.tar.gz")
    checked("-m", "pip", "wheel", *QUIET, "--no-build-isolation", "-w", built, archive, cwd=built)
    (wheel,) = built.glob("*.whl")
    checked("-m", "pip", "install", *QUIET, "--no-index", "--target", site, wheel, cwd=built)
    return Installed(site, empty)


def test_the_version_is_that_of_gits_tag(installed: Installed) -> None:
    (info,) = installed.site.glob("mlssm-*.dist-info")
    assert PathDistribution(info).version == "7.8.9"


def contents(folder: Path, pattern: str = "*") -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def test_the_wheel_holds_all_modules_the_configuration_and_the_commands(installed: Installed) -> None:
    kept = contents(REPOSITORY / "src", "*.py")
    assert {path: text for path, text in contents(installed.site, "*.py").items() if path in kept} == kept
    assert contents(installed.site / "mlssm" / "conf") == contents(REPOSITORY / "conf")
    (info,) = installed.site.glob("mlssm-*.dist-info")
    scripts = PathDistribution(info).entry_points.select(group="console_scripts")
    assert {item.name: item.value for item in scripts} == {name: f"mlssm.cli:{of}" for name, of in COMMANDS.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_helps_in_an_empty_folder(installed: Installed, command: str) -> None:
    ended = installed.run(command, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\nmodel: convgru, convlstm, " in ended.stdout or command != "mlssm-train"
    assert list(installed.empty.iterdir()) == []


@pytest.mark.exhaustive
def test_it_trains_and_predicts_in_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    here = Installed(installed.site, tmp_path)
    trained = here.run("mlssm-train", *QUICK, seconds=300)
    assert trained.returncode == 0, trained.stderr
    assert "\nMap a day: mlssm-predict run=" in trained.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"data", "mlruns"}
    mapped = here.run("mlssm-predict", "dates=[2021-01-05]", seconds=300)
    assert mapped.returncode == 0, mapped.stderr
    with rasterio.open(tmp_path / "maps" / "ssm_20210105.tif") as source:
        (info,) = installed.site.glob("mlssm-*.dist-info")
        assert source.tags()["software"] == f"mlssm {PathDistribution(info).version}"
        assert np.isfinite(source.read(1)).mean() > 0.5


def test_a_command_tells_a_wrong_key(installed: Installed) -> None:
    ended = installed.run("mlssm-train", "modle.lag=3")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("error: unknown configuration key 'modle.lag'; did you mean model.lag?")


def test_every_group_of_the_packaged_configuration_is_composed(installed: Installed) -> None:
    program = """
import pathlib
from hydra import compose, initialize_config_dir
from mlssm.cli import CONF
from mlssm.config import EvaluateConfig, PredictConfig, TrainConfig, parse
from omegaconf import OmegaConf
wanted = {"datamodule": ["area=AREA.geojson", "dates=2021-09-01/2024-08-31"]}
with initialize_config_dir(str(CONF), version_base="1.3"):
    one_each = {path.parent.name: path for path in sorted(CONF.glob("*/*.yaml"))}
    for group, path in one_each.items():
        added = "+" if group in ("experiment", "report", "search") else ""
        config = compose("train", [f"{added}{group}={path.stem}", *wanted.get(group, [])])
        parse(TrainConfig, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
        print(group)
    config = compose("predict", ["dates=[2023-01-01]"])
    parse(PredictConfig, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    config = compose("evaluate", ["insitu=insitu"])
    parse(EvaluateConfig, OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
print(CONF)
"""
    environment = {**os.environ, "PYTHONPATH": str(installed.site), "PYTHONSAFEPATH": "1"}
    told = {"cwd": installed.empty, "env": environment, "capture_output": True, "text": True, "timeout": 60}
    ended = subprocess.run([sys.executable, "-c", program], **told, check=False)
    assert ended.returncode == 0, ended.stderr
    *groups, folder = ended.stdout.split()
    assert Path(folder) == installed.site / "mlssm" / "conf"
    assert set(groups) == {path.name for path in (REPOSITORY / "conf").iterdir() if path.is_dir()} - {"hydra"}


@pytest.mark.parametrize("how", ["--config-dir=mine", "hydra.searchpath=[file://mine]"])
def test_a_folder_of_the_users_is_added(installed: Installed, tmp_path: Path, how: str) -> None:
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "small.yaml").write_text("defaults: [convlstm]\nhidden: [4]\n")
    ended = Installed(installed.site, tmp_path).run(
        "mlssm-train", how, "model=small", "--cfg", "job", "--package=model"
    )
    assert ended.returncode == 0, ended.stderr
    assert "hidden:\n- 4\n" in ended.stdout


def test_the_scripts_of_a_checkout_use_the_configuration_beside_them(installed: Installed) -> None:
    folder = installed.site.parent / "checkout"
    shutil.copytree(REPOSITORY / "conf", folder / "conf")
    shutil.copy(REPOSITORY / "train.py", folder)
    train = folder / "conf" / "train.yaml"
    train.write_text(train.read_text().replace("\nseeds: 1 ", "\nseeds: 4 "))
    environment = {**os.environ, "PYTHONPATH": str(installed.site)}
    told = {"cwd": installed.empty, "env": environment, "capture_output": True, "text": True, "timeout": 60}
    ended = subprocess.run([sys.executable, str(folder / "train.py"), "--cfg", "job"], **told, check=False)
    assert "\nseeds: 4\n" in ended.stdout, ended.stderr
