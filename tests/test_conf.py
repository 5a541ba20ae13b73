"""Every file in `conf/` is composed, typed, and reachable as a choice."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mlssm.config import EvaluateConfig, PredictConfig, TrainConfig, parse

CONF = Path(__file__).resolve().parents[1] / "conf"
PRIMARY = {"train": (TrainConfig, ()), "predict": (PredictConfig, ("dates=[2023-01-01]",))}
PRIMARY["evaluate"] = (EvaluateConfig, ("insitu=insitu",))
FILES = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.rglob("*.yaml"))
CHOICES = [path for path in FILES if len(path.parts) > 1 and path.parts[0] != "hydra"]
# groups whose files set keys of other groups, and how they are chosen on the command line
GLOBAL = {"protocol": "", "experiment": "+", "search": "+", "report": "+"}
# what a choice leaves to the user
NEEDED = {"opera_rtc": ("datamodule.root=DIR",), "geotiff": ("datamodule.root=DIR",)}
NEEDED |= dict.fromkeys(("stac", "opera", "earth_engine"), ("area=AREA.geojson", "dates=2021-09-01/2024-08-31"))
NEEDED["points"] = ("datamodule.root=DIR", "task=tracks")
NEEDED["cluster"] = ("dask.address=tcp://host:8786",)


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
    assert {"train", "predict", "evaluate"} == {path.name for path in FILES if len(path.parts) == 1}
    assert len(CHOICES) > 10


@pytest.mark.parametrize("primary", PRIMARY)
def test_the_defaults_are_typed(primary: str) -> None:
    schema, overrides = PRIMARY[primary]
    values = composed(primary, *overrides)
    typed = set(parse(schema, values).model_dump())  # type: ignore[type-var]
    assert typed - {"window"} == set(values)  # which is written with the model


@pytest.mark.parametrize("choice", [path for path in CHOICES if path.parts[0] not in GLOBAL], ids=str)
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
        for key, value in contents(choice).items():
            if not isinstance(value, dict | list | str):
                assert section[key] == value, key


@pytest.mark.parametrize("choice", [path for path in CHOICES if path.parts[0] in GLOBAL], ids=str)
def test_every_choice_that_sets_keys_of_other_groups_is_typed_and_sets_them(choice: Path) -> None:
    values = composed("train", f"{GLOBAL[choice.parts[0]]}{choice.parts[0]}={choice.name}")
    parse(TrainConfig, values)
    found = contents(choice)
    assert found.pop("defaults", []) or found
    found.pop("hydra", None)
    assert is_part(found, values)


@pytest.mark.parametrize("choice", [path for path in CHOICES if path.parts[0] == "experiment"], ids=str)
def test_every_value_that_an_experiment_sweeps_over_is_typed(choice: Path) -> None:
    """Each with the others' in turn: all combinations of many models would take long."""
    hydra = contents(choice).get("hydra")
    if hydra is None:
        return  # it sweeps over nothing
    assert hydra["mode"] == "MULTIRUN"  # so that it is the whole experiment without -m, too
    swept = {key: _choices(f"{key}={value}") for key, value in hydra["sweeper"]["params"].items()}
    for number in range(max(map(len, swept.values()))):
        overrides = [f"{key}={values[number % len(values)]}" for key, values in swept.items()]
        parse(TrainConfig, composed("train", f"+experiment={choice.name}", *overrides))


def _choices(override: str) -> list[str]:
    """What a sweep goes through, by Hydra's own parser: values may be lists."""
    parsed = OverridesParser.create().parse_override(override)
    return list(parsed.sweep_string_iterator()) if parsed.is_sweep_override() else [parsed.get_value_element_as_str()]


def contents(choice: Path) -> dict[str, Any]:
    """What a file of `conf/` says."""
    return dict(yaml.safe_load((CONF / choice).with_suffix(".yaml").read_text(encoding="utf-8")))


def is_part(part: Any, whole: Any) -> bool:
    """Whether all keys of a nested dictionary have their values in another one."""
    if not isinstance(part, dict):
        return bool(part == whole)
    return all(key in whole and is_part(value, whole[key]) for key, value in part.items())


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
    groups = {path.parts[0] for path in CHOICES} - set(GLOBAL)
    for path in (path for path in CHOICES if path.parts[0] not in GLOBAL):
        text = yaml.safe_load((CONF / path).with_suffix(".yaml").read_text(encoding="utf-8"))
        assert not groups & set(text), path
