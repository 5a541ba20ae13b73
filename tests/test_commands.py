"""Every command that README and docs show is one that this version takes."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf
from tests.forked import run_script
from tests.markdown_blocks import blocks, write_named

from mlssm.cli import for_hydra
from mlssm.config import EvaluateConfig, PredictConfig, TrainConfig, parse

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
SHELL = ("console", "bash", "sh")
INLINE = re.compile(r"`((?:python (?:train|predict|evaluate)\.py|mlssm-\w+) [^`<]*)`")
COMMAND = re.compile(r"(?:^|/)(?P<script>train|predict|evaluate)\.py$|^mlssm-(?P<command>train|predict|evaluate)$")
ENDS = ("&&", "||", "|", ";", "&", ">")
SCHEMAS = {"train": TrainConfig, "predict": PredictConfig, "evaluate": EvaluateConfig}


@dataclass(frozen=True)
class Command:
    """A command of a page: what it is, and what it is told."""

    page: str
    kind: str
    told: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.kind} {' '.join(self.told)}"


def lines(page: Path) -> Iterator[str]:
    """The lines of a page's shell blocks, those that go on joined, and the commands within its text."""
    for block in blocks(page, *SHELL):
        yield from block.text.replace("\\\n", " ").splitlines()
    yield from INLINE.findall(page.read_text(encoding="utf-8"))


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def commands() -> list[Command]:
    found = []
    for page in PAGES:
        for line in lines(page):
            told = words(line)
            for place, match in [(number, COMMAND.search(word)) for number, word in enumerate(told)]:
                if match is None:
                    continue
                rest = told[place + 1 :]
                end = next((number for number, word in enumerate(rest) if word in ENDS), len(rest))
                kind = match["script"] or match["command"]
                found.append(Command(page.name, kind, tuple(rest[:end])))
    return list(dict.fromkeys(found))


def first_choice(override: str) -> str:
    """An override of a sweep with its first value."""
    (parsed,) = OverridesParser.create().parse_overrides([override])
    if not parsed.is_sweep_override() or parsed.key_or_group.startswith("hydra"):
        return override
    mark = "+" if parsed.is_add() else ""
    return f"{mark}{parsed.get_key_element().lstrip('+~')}={next(iter(parsed.sweep_string_iterator()))}"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of docs/extending.md and docs/configuration.md, which their commands use."""
    folder = tmp_path_factory.mktemp("own")
    write_named(REPOSITORY / "docs" / "extending.md", folder)
    (folder / "my_conf" / "model").mkdir(parents=True, exist_ok=True)
    (folder / "my_conf" / "model" / "wide.yaml").write_text("{defaults: [convlstm], hidden: [64, 64]}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.mark.parametrize("command", commands(), ids=str)
def test_a_command_is_composed_and_typed(command: Command, own: Path, conf_folder: str) -> None:
    if "pan_evaporation" in str(command):
        pytest.skip("its channels are added by a module that tests/integration/test_extending.py names")
    Plugins.instance()
    flags = [word for word in command.told if word.startswith("-")]
    assert set(flags) <= {"-m", "--multirun", "--help", "--cfg", "--config-dir=my_conf", "--package=model"}
    told = [word for word in command.told if word not in flags and word != "job"]
    told = [word.replace("file://my_conf", f"file://{own / 'my_conf'}") for word in told]
    if "--config-dir=my_conf" in flags:
        told.append(f"hydra.searchpath=[file://{own / 'my_conf'}]")
    if command.kind == "evaluate" and not any(word.startswith("insitu=") for word in told):
        told.append("insitu=stations")  # in text, where it is about another key
    with initialize_config_dir(conf_folder, version_base="1.3"):
        config = compose(command.kind, [first_choice(word) for word in for_hydra(told)])
    values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    parse(SCHEMAS[command.kind], values)


def test_commands_are_found_where_they_stand() -> None:
    found = commands()
    assert len(found) > 60
    assert Command("README.md", "train", ("seeds=5",)) in found
    assert {command.kind for command in found} == {"train", "predict", "evaluate"}
    sweep = "model.lag=1,2,3"
    assert first_choice(sweep) == "model.lag=1"
    assert first_choice("split.test=[2022]") == "split.test=[2022]"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_extras_that_a_page_names_are_there(page: Path) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for line in lines(page):
        for script in re.findall(r"python (?!-)(\S+\.py)", line):
            assert (REPOSITORY / script).is_file(), line
        for named in re.findall(r"(?:\.|mlssm)\[([\w,]+)\]", line):
            assert set(named.split(",")) <= extras.keys(), line
        if match := re.match(r"make (\w+)", line):
            assert re.search(rf"^{match[1]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), line


def test_no_page_names_a_folder_that_a_clone_does_not_have() -> None:
    for page in PAGES:
        if page.name != "CONTRIBUTING.md":
            assert "../shared" not in page.read_text(encoding="utf-8"), page


@pytest.mark.parametrize("told", [("--help",), ("--cfg", "job")], ids=" ".join)
def test_what_costs_nothing_runs_as_it_is_written(told: tuple[str, ...], tmp_path: Path) -> None:
    assert Command("README.md" if told == ("--help",) else "configuration.md", "train", told) in commands()
    done = run_script(REPOSITORY / "train.py", *told, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lag: 10" in done.stdout
    assert list(tmp_path.iterdir()) == []
