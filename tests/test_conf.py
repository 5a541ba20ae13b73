"""Every file in `conf/` is composed, typed, and reachable as a choice."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlssm.config import PredictConfig, TrainConfig, parse

CONF = Path(__file__).resolve().parents[1] / "conf"
PRIMARY = {"train": (TrainConfig, ()), "predict": (PredictConfig, ("dates=[2023-01-01]",))}
FILES = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.rglob("*.yaml"))
CHOICES = [path for path in FILES if len(path.parts) > 1 and path.parts[0] != "hydra"]
# what a choice leaves to the user
NEEDED = {"opera_rtc": ("datamodule.root=DIR",), "geotiff": ("datamodule.root=DIR",)}


def composed(primary: str, *overrides: str) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(primary, list(overrides), return_hydra_config=False)
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


def primaries(group: str) -> list[str]:
    """The primary configurations whose defaults have the group."""
    found = []
    for primary in PRIMARY:
        defaults = yaml.safe_load((CONF / f"{primary}.yaml").read_text(encoding="utf-8"))["defaults"]
        if any(isinstance(item, dict) and group in item for item in defaults):
            found.append(primary)
    return found


def test_the_files_are_found() -> None:
    assert {"train", "predict"} == {path.name for path in FILES if len(path.parts) == 1}
    assert len(CHOICES) > 10


@pytest.mark.parametrize("primary", PRIMARY)
def test_the_defaults_are_typed(primary: str) -> None:
    schema, overrides = PRIMARY[primary]
    values = composed(primary, *overrides)
    assert set(parse(schema, values).model_dump()) == set(values)  # type: ignore[type-var]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_choice_is_typed(choice: Path) -> None:
    group, name = choice.parent.as_posix(), choice.name
    used = primaries(group)
    assert used, f"conf/{choice}.yaml is no choice of train or predict"
    for primary in used:
        schema, overrides = PRIMARY[primary]
        values = composed(primary, f"{group}={name}", *NEEDED.get(name, ()), *overrides)
        parse(schema, values)  # type: ignore[type-var]
        section = values[group]
        assert section.get("name", name) == name
        # the file is what was composed
        for key, value in yaml.safe_load((CONF / choice).with_suffix(".yaml").read_text(encoding="utf-8")).items():
            if not isinstance(value, dict | list | str):
                assert section[key] == value, key


@pytest.mark.parametrize("primary", PRIMARY)
def test_hydras_own_files_are_those_that_the_programs_use(primary: str) -> None:
    defaults = yaml.safe_load((CONF / f"{primary}.yaml").read_text(encoding="utf-8"))["defaults"]
    own = {f"{path.parent.as_posix()}={path.name}" for path in FILES if path.parts[0] == "hydra"}
    used = {
        f"{key.removeprefix('override ')}={value}"
        for item in defaults
        if isinstance(item, dict)
        for key, value in item.items()
        if key.startswith("override ") and (CONF / key.removeprefix("override ") / f"{value}.yaml").is_file()
    }
    assert used <= own
    assert f"hydra/help={primary}" in used


def test_no_choice_sets_what_another_group_owns() -> None:
    groups = {path.parts[0] for path in CHOICES}
    for path in CHOICES:
        text = yaml.safe_load((CONF / path).with_suffix(".yaml").read_text(encoding="utf-8"))
        assert not groups & set(text), path
