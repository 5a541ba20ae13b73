"""The reference of every configuration key: from the types in `mlssm.config`, the defaults and comments in `conf/`.

`mkdocs.yml` names this file as a hook: the page is made when the site is built, and lies nowhere. By hand:
`python docs/reference_configuration.py` prints it.
"""

from __future__ import annotations

import html
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mlssm.config import EvaluateConfig, PredictConfig, TrainConfig
from mlssm.config.area_file import AreaFile
from mlssm.config.models import family_class

CONF = Path(__file__).resolve().parents[1] / "conf"
PAGE = "reference/configuration.md"
ROOTS: dict[str, type[BaseModel]] = {"train": TrainConfig, "predict": PredictConfig, "evaluate": EvaluateConfig}
# sections whose keys are another program's: what they are is said there
ELSEWHERE = {
    "trainer": "arguments of [Lightning's Trainer](https://lightning.ai/docs/pytorch/stable/common/trainer.html)",
    "trial": "set by a search, for each of its trials",
}
OF_MODELS = ("window", "model")  # typed apart from each other; users know both as the section `model`
KEY = re.compile(r"^(?P<indent> *)(?P<key>[\w.]+):(?P<value>.*?)(?:\s#\s(?P<comment>.*))?$")
ATTRIBUTE = re.compile(r"^    (?P<name>\w+): (?P<text>.*(?:\n {8,}.*)*)", re.MULTILINE)
HEAD = """# Configuration keys

Every key of the commands, made from the types that check it. A key is set on the command line as `key=value`
([how](../configuration.md)). Where no default stands the key has to be set, or its group's file sets it.
"""


@dataclass(frozen=True)
class Key:
    """A key as the reference has it: dotted path, what it may be, its default as YAML or empty, and what it means."""

    path: str
    allowed: str
    default: str
    meaning: str


def keys(command: str) -> list[Key]:
    """The keys of a command, in the order of their types; those of models are apart, see `model_keys`."""
    notes, defaults = _comments(command), _defaults(command)
    found = {key.path: key for key in _keys(ROOTS[command], "", notes, defaults)}
    # what is not typed as it is written: the short form of a section, or a key that stands for several
    for path in [path for path, value in defaults.items() if path not in found and not isinstance(value, dict)]:
        if not any(path.startswith(f"{key}.") for key in found):
            is_section = any(key.startswith(f"{path}.") for key in found)
            allowed = "text, null or a section" if is_section else "text or null"
            found[path] = Key(path, allowed, _yaml(defaults[path]), notes.get(path, ""))
    return [key for key in found.values() if key.path.partition(".")[0] not in OF_MODELS]


def model_keys() -> dict[str, list[Key]]:
    """The keys of the section `model`, by its choice: the window's, then the family's own."""
    window = TrainConfig.model_fields["window"].annotation
    found = {}
    for path in sorted((CONF / "model").glob("*.yaml")):
        notes, values = _notes(path, "model."), yaml.safe_load(path.read_text(encoding="utf-8"))
        family = family_class(values["family"])
        defaults = {f"model.{key}": value for key, value in values.items()}
        found[path.stem] = [
            key
            for each in (window, family)
            for key in _keys(each, "model.", notes, defaults)
            if key.path != "model.family"
        ]
    return found


def area_keys() -> list[Key]:
    """The keys of `area.yaml`; those that are the datamodule's are told there."""
    told = {key.path.removeprefix("datamodule.") for key in keys("train")}
    return [key for key in _keys(AreaFile, "", {}, {}) if key.path not in told and not key.path.startswith("request")]


def page() -> str:
    """The page, Markdown."""
    parts = [HEAD]
    for command in ROOTS:
        parts.append(f"## {command}.py\n")
        sections: dict[str, list[Key]] = {}
        for key in keys(command):
            section = key.path.rpartition(".")[0].partition(".")[0]
            sections.setdefault(section, []).append(key)
        for section, items in sorted(sections.items(), key=lambda pair: pair[0] != ""):
            parts += [f"### {section or 'Keys without a section'}\n", _table(items)]
            if section == "retrieval":
                parts += _models()
    parts += [
        "## area.yaml\n",
        "Beside the sections of the datamodule, which it may hold as well:\n",
        _table(area_keys()),
    ]
    return "\n".join(parts)


def _models() -> list[str]:
    found = ["### model\n", "The window is the same for all; the others are each choice's own.\n"]
    for choice, items in model_keys().items():
        found += [f"#### model={choice}\n", _table(items)]
    return found


def _table(items: list[Key]) -> str:
    lines = ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
    for key in items:
        meaning = re.sub(r"\bNone\b", "null", key.meaning)  # as YAML writes it
        cells = (_code(key.path), key.allowed, _code(key.default), meaning)
        lines.append("| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """As HTML: within backticks a table's cell cannot hold a |."""
    return f"<code>{html.escape(text)}</code>" if text else ""


def _keys(
    schema: type[BaseModel],
    prefix: str,
    notes: Mapping[str, str],
    defaults: Mapping[str, Any],
    above: tuple[type[BaseModel], ...] = (),
) -> Iterator[Key]:
    about = _attributes(schema)
    for name, field in schema.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        sections = [section for section in _sections(field.annotation) if section not in (*above, schema)]
        whole = Key(
            path,
            _allowed(field),
            _default(field, path, defaults),
            ELSEWHERE.get(path) or about.get(name, "") or notes.get(path, ""),
        )
        if not sections:
            yield whole
            continue
        if _is_named(field.annotation):
            yield whole
            path = f"{path}.NAME"
        for section in sections:
            if len(sections) > 1 and (service := _service(section)):
                inner = f"{path}({service})."
            else:
                inner = f"{path}."
            yield from _keys(section, inner, notes, defaults, (*above, schema))


def _service(section: type[BaseModel]) -> str:
    field = section.model_fields.get("service")
    return "" if field is None else str(typing.get_args(field.annotation)[0])


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a key may hold, whatever stands around them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in typing.get_args(annotation):
        yield from _sections(part)


def _is_named(annotation: Any) -> bool:
    """Whether a key holds sections by names of the user's own."""
    return typing.get_origin(annotation) is dict or any(_is_named(part) for part in typing.get_args(annotation))


def _allowed(field: FieldInfo) -> str:
    bounds = _bounds(field.metadata)
    return _type(field.annotation) + (f", {bounds}" if bounds else "")


def _bounds(metadata: list[Any]) -> str:
    signs = {
        annotated_types.Gt: ("gt", ">"),
        annotated_types.Ge: ("ge", "≥"),
        annotated_types.Lt: ("lt", "<"),
        annotated_types.Le: ("le", "≤"),
    }
    found = [
        f"{sign} {getattr(item, name):g}"
        for kind, (name, sign) in signs.items()
        for item in metadata
        if isinstance(item, kind)
    ]
    return " and ".join(found)


def _type(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        bounds = _bounds(list(parts[1:]))
        return _type(parts[0]) + (f" {bounds}" if bounds else "")
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in parts))
    if origin in (tuple, list):
        inner = list(dict.fromkeys(_type(part) for part in parts if part is not Ellipsis))
        return f"list of {' and '.join(inner)}" if inner else "list"
    if origin is dict:
        return f"{_type(parts[1])} by name"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a section"
    names = {
        int: "whole number",
        float: "number",
        bool: "true, false",
        str: "text",
        Path: "path",
        types.NoneType: "null",
        Any: "anything",
    }
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def _default(field: FieldInfo, path: str, defaults: Mapping[str, Any]) -> str:
    if path in defaults:
        return _yaml(defaults[path])
    if field.is_required() or field.default_factory is not None or isinstance(field.default, BaseModel):
        return ""
    return _yaml(field.default)


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, Path):
        value = str(value)
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000).removesuffix("...\n").strip()


@cache
def _attributes(schema: type[BaseModel]) -> dict[str, str]:
    """What the class and those above it say of their attributes."""
    found: dict[str, str] = {}
    for each in reversed(schema.__mro__):
        text = inspect.cleandoc(each.__dict__.get("__doc__") or "") if issubclass(each, BaseModel) else ""
        section = text.partition("Attributes:\n")[2]
        found |= {match["name"]: " ".join(match["text"].split()) for match in ATTRIBUTE.finditer(section)}
    return found


@cache
def _comments(command: str) -> dict[str, str]:
    """The comment beside each key in the command's file and the files of its groups; the first one that has one."""
    found = _notes(CONF / f"{command}.yaml", "")
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir() and path.name not in ("hydra", "model")):
        for path in sorted(folder.glob("*.yaml")):
            found = _notes(path, f"{folder.name}.") | found
    return found


def _notes(path: Path, prefix: str) -> dict[str, str]:
    """The comments of a YAML file, by the dotted path of the key that they stand beside."""
    found, above = {}, []
    text = path.read_text(encoding="utf-8")
    prefix = "" if text.startswith("# @package _global_") else prefix
    for line in text.splitlines():
        if (match := KEY.match(line)) is None:
            continue
        depth = len(match["indent"]) // 2
        above = [*above[:depth], match["key"]]
        if match["comment"]:
            found[prefix + ".".join(above)] = match["comment"]
    return found


@cache
def _defaults(command: str) -> dict[str, Any]:
    """The value of each key as the command composes it, where nothing is told."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose(command), resolve=False)
    return dict(_flat(values, ""))


def _flat(values: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        path = f"{prefix}{key}"
        if value == "???" or (isinstance(value, str) and "${" in value):
            continue
        yield path, value
        if isinstance(value, dict):
            yield from _flat(value, f"{path}.")


def on_files(files: Any, config: Any) -> Any:
    """Hook of mkdocs: add the page to those of the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


if __name__ == "__main__":
    print(page())
