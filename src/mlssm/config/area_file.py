"""`area.yaml`: what the files of an area's folder are, written by an origin or by hand."""

from __future__ import annotations

import datetime as dt
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from mlssm.config.backscatter import BackscatterConfig
from mlssm.config.base import Strict, located
from mlssm.config.layers import LayerSource, is_of_library
from mlssm.config.sources import ElevationSource, NdviSource, SoilSource
from mlssm.config.weather_source import WeatherColumn, WeatherPlace, WeatherSource, WeatherTime
from mlssm.errors import ConfigError, DataError
from mlssm.files import naming

AREA_FILE = "area.yaml"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast, where it is built


class FileProvenance(Strict):
    """Where a file comes from; what nobody knows of it is None.

    Attributes:
        name: Path below the area's folder; by hand also several, as `sentinel1/*`.
        licence: Under which it may be used.
        address: What it was read from, without anything secret.
        sha256: Of its bytes.
        size: Bytes.
        retrieved: When, UTC.
    """

    name: str
    licence: str
    address: str | None = None
    sha256: str | None = None
    size: int | None = Field(default=None, ge=0)
    retrieved: dt.datetime | None = None


class AreaRequest(Strict):
    """What an area's folder was filled for; another request is not mixed into it.

    Attributes:
        place: Digest of the polygon.
        bounds: Its west, south, east, north, degrees.
        first: First day.
        last: Last day.
        crs: Of the grid that rasters were cut for.
        origin: Its upper-left corner, metres.
        pixel: Its pixel, metres.
        shape: Its rows and columns.
        services: The settings of the service of each source; those of sources that are not whole yet are there, too.
    """

    place: str
    bounds: tuple[float, float, float, float]
    first: dt.date
    last: dt.date
    crs: str
    origin: tuple[float, float]
    pixel: float
    shape: tuple[int, int]
    services: dict[str, dict[str, Any]]


class AreaFile(Strict):
    """An area's sources as its folder states them; one that is left out is recognised by its files, or is not there.

    Attributes:
        format: Of this file: 1.
    """

    format: Literal[1]
    time_zone: str | None = None
    backscatter: BackscatterConfig | None = None
    weather: WeatherSource | None = None
    dem: ElevationSource | None = None
    soil: SoilSource | None = None
    ndvi: NdviSource | None = None
    request: AreaRequest | None = None
    layers: dict[str, LayerSource] = Field(default_factory=dict)
    provenance: tuple[FileProvenance, ...] = ()

    @field_validator("layers")
    @classmethod
    def _no_code_but_torchgeos(cls, layers: dict[str, LayerSource]) -> dict[str, LayerSource]:
        """A folder may come from anywhere, and must not choose code to run."""
        for name, source in layers.items():
            if source.target is not None and not is_of_library(source.target):
                raise ValueError(
                    f"{source.target} is a class that torchgeo does not bring, and no code is run where a folder says; "
                    f"take _target_ away here, and give datamodule.layers.{name}._target_={source.target}"
                )
        return layers


def area_layers(root: Path) -> dict[str, dict[str, Any]]:
    """The layers that an area's `area.yaml` states, as they would be written in a configuration.

    Raises:
        ConfigError: See `read_area_file`.
        DataError: Likewise.
    """
    area = read_area_file(root)
    layers = {} if area is None else area.layers
    return {name: source.model_dump(mode="json", by_alias=True, exclude_unset=True) for name, source in layers.items()}


def read_area_file(root: Path) -> AreaFile | None:
    """What an area's folder says of itself; None where it has no `area.yaml`.

    Raises:
        ConfigError: A key is unknown or stands twice, or a value is not allowed; the message names file, line and cure.
        DataError: The file cannot be read.
    """
    path = root / AREA_FILE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); write it as UTF-8 text, or take it away") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no keys; it begins with `format: 1`, or take it away")
    _refuse_repeated_keys(path, node)
    try:
        return AreaFile.model_validate(values)
    except ValidationError as error:
        told = [f"line {_line(node, place)}: {said}{_meant(place, said)}" for place, said in located(values, error)]
        raise ConfigError(f"{path}, {'; '.join(told[:3])}") from None


def write_area_file(root: Path, area: AreaFile) -> Path:
    """Write an area's `area.yaml`, whole or not at all; what is not known of a source is left out."""
    path = root / AREA_FILE
    partial = path.with_name(f".{path.name}.partial")
    with naming(path):
        partial.write_text(area_text(area), encoding="utf-8")
        partial.replace(path)
    return path


def area_text(area: AreaFile) -> str:
    """The text of an `area.yaml`; what is not known is left out."""
    unknown = {name for name in ("layers", "provenance") if not getattr(area, name)}
    values = area.model_dump(mode="json", exclude_none=True, exclude=unknown)
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120))


def _refuse_repeated_keys(path: Path, node: Any) -> None:
    """YAML readers take the last of two keys without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(f"{path}, line {key.start_mark.line + 1}: '{key.value}' stands twice; keep one")
            seen.add(key.value)
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(path, value)


def _meant(place: tuple[str | int, ...], said: str) -> str:
    """The key that was probably meant by an unknown one."""
    if not said.startswith("unknown"):
        return ""
    sources = (BackscatterConfig, WeatherSource, ElevationSource, SoilSource, NdviSource)
    sections = (AreaFile, AreaRequest, FileProvenance, *sources, WeatherColumn, WeatherTime, WeatherPlace)
    keys = sorted({key for section in sections for key in section.model_fields})
    close = get_close_matches(str(place[-1]), keys, 1, cutoff=0.7)
    return f"; did you mean '{close[0]}'?" if close else "; take it away"


def _line(node: Any, place: tuple[object, ...]) -> int:
    """The line on which a key stands, or the innermost one around it."""
    line = node.start_mark.line
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1
