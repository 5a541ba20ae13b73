"""What stands around the code: that it is valid, and names files, extras and targets that are there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import mlssm

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED_BY_A_BUILD = {"src", "conf", "pyproject.toml", "README.md", "LICENSE"}  # as tests/test_installed.py builds it


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def loaded(name: str) -> Any:
    return yaml.safe_load(text(name))


def pinned() -> dict[str, Version]:
    lines = [line for line in text("constraints.txt").splitlines() if not line.startswith("#")]
    return {name.lower().replace("_", "-"): Version(number) for name, number in (line.split("==") for line in lines)}


def test_the_citation_is_valid() -> None:
    schema = json.loads((Path(__file__).parent / "schemas" / "citation-1.2.0.json").read_text(encoding="utf-8"))
    found = loaded("CITATION.cff")
    jsonschema.validate(found, schema, format_checker=jsonschema.FormatChecker())
    assert found["license"] == PROJECT["license"]
    assert found["references"][0]["doi"] in PROJECT["urls"]["Paper"]
    with pytest.raises(jsonschema.ValidationError, match="licence"):
        jsonschema.validate({**found, "licence": "Apache-2.0"}, schema)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert mlssm.__version__ == version("mlssm")
    assert Version(mlssm.__version__) > Version("0.1.dev0")


def test_every_dependency_has_a_tested_version_within_its_bounds() -> None:
    known = pinned()
    extras = {name for name in PROJECT["optional-dependencies"] if name != "test"}
    needs = [*PROJECT["dependencies"], *(item for name in extras for item in PROJECT["optional-dependencies"][name])]
    for item in map(Requirement, needs):
        name = item.name.lower().replace("_", "-")
        assert name in known, f"{name}: make constraints"
        assert item.specifier.contains(known[name]), name


def test_the_tested_versions_agree_with_each_other() -> None:
    known = pinned()
    for name in ("mlflow", "torchgeo", "pytorch-lightning", "rasterio", "xarray"):
        for item in map(Requirement, requires(name) or ()):
            other = item.name.lower().replace("_", "-")
            if (item.marker is None or item.marker.evaluate({"extra": ""})) and other in known:
                assert item.specifier.contains(known[other], prereleases=True), f"{name} wants {item}"


def test_the_image_is_built_from_files_and_extras_that_are_there() -> None:
    lines = [line for line in text("Dockerfile").replace("\\\n", " ").splitlines() if line and line[0] != "#"]
    steps = [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]
    copied = {name for kind, told in steps if kind == "COPY" for name in told.split()[:-1]}
    assert all((REPOSITORY / name).exists() for name in copied)
    assert copied == NEEDED_BY_A_BUILD | {"constraints.txt"}
    (install,) = [told for kind, told in steps if kind == "RUN" and "pip install" in told]
    (named,) = re.findall(r"'\.\[([\w,]+)\]'", install)
    assert set(named.split(",")) <= PROJECT["optional-dependencies"].keys()
    assert f"--constraint {next(iter(copied & {'constraints.txt'}))}" in install
    (base,) = [told for kind, told in steps if kind == "FROM"]
    assert Version(re.findall(r"python:([\d.]+)", base)[0]) >= Version(PROJECT["requires-python"].removeprefix(">="))
    (entry,) = [json.loads(told) for kind, told in steps if kind == "ENTRYPOINT"]
    assert entry[0] in PROJECT["scripts"]
    ignored = {line.strip("/") for line in text(".dockerignore").splitlines()}
    assert not ignored & copied


def test_the_shell_of_the_image_is_well_formed() -> None:
    runs = re.findall(r"^RUN (.*)$", text("Dockerfile").replace("\\\n", " "), re.MULTILINE)
    assert len(runs) == 3
    for run in runs:
        subprocess.run(["sh", "-n", "-c", run], check=True)


def targets() -> set[str]:
    return set(re.findall(r"^(\w+):", text("Makefile"), re.MULTILINE))


def test_the_workflow_runs_what_is_there() -> None:
    jobs = loaded(".github/workflows/ci.yml")["jobs"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    made = {word for run in runs for word in shlex.split(run)[1:] if run.startswith("make ") and "=" not in word}
    assert made == {"check", "docs", "test"}
    assert made <= targets()
    commands = set(re.findall(r"mlssm-\w+", " ".join(runs)))
    assert commands
    assert commands <= PROJECT["scripts"].keys()
    pythons = {each["python"] for each in jobs["test"]["strategy"]["matrix"]["include"]}
    assert pythons == {"3.11", "3.12", "3.13"}
    constraints = {each["constraint"] for each in jobs["test"]["strategy"]["matrix"]["include"]} - {""}
    assert all((REPOSITORY / name).is_file() for name in constraints)
    for job in jobs.values():
        kept = [step for step in job["steps"] if "checkout" in step.get("uses", "")]
        assert len(kept) == 1


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_a_form_for_issues_has_what_github_wants(name: str) -> None:
    form = loaded(f".github/ISSUE_TEMPLATE/{name}")
    assert {"name", "description", "body"} <= form.keys()
    for item in form["body"]:
        assert item["type"] in ("textarea", "input")
        assert {"id", "attributes"} <= item.keys()
        assert item["attributes"]["label"]


def test_hooks_run_tools_that_the_environment_has() -> None:
    (local,) = loaded(".pre-commit-config.yaml")["repos"]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in local["hooks"]}
    test = {Requirement(item).name for item in PROJECT["optional-dependencies"]["test"]}
    assert tools == {"ruff", "mypy", "python"}
    assert {"ruff", "mypy", "pytest"} <= test
    for hook in local["hooks"]:
        assert re.compile(hook.get("files", ""))
        for path in re.findall(r"tests/\S+\.py", hook["entry"]):
            assert (REPOSITORY / path).is_file()


def test_the_changelog_keeps_to_its_form() -> None:
    headings = re.findall(r"^(#+) (.*)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == ("#", "Changelog")
    assert headings[1] == ("##", "Unreleased")
    kinds = {title for level, title in headings if level == "###"}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_pages_for_people_point_to_pages_that_are_there() -> None:
    for name in ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", ".github/pull_request_template.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text(name)):
            assert (REPOSITORY / link).exists(), f"{name}: {link}"


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="only a checkout tells which files are kept")
def test_the_top_level_is_what_a_reader_looks_for() -> None:
    """A file that some command left there is not kept with the others."""
    kept = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    top = {name for name in kept.splitlines() if "/" not in name}
    assert {Path(name).suffix for name in top} <= {"", ".cff", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
