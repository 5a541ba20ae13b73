"""The services that there are: which module fetches a source from a service."""

from __future__ import annotations

from importlib import import_module

from mlssm.config.base import Strict
from mlssm.config.dotted import imported
from mlssm.config.origins import OwnService
from mlssm.errors import ConfigError
from mlssm.origins.contract import Fetcher
from mlssm.origins.download import Downloads

SOURCES = ("backscatter", "dem", "ndvi", "soil", "weather")
# imported when it is asked for, as each needs packages of its own; a module has
# `fetcher(settings, downloads) -> Fetcher`, its settings being a class of `mlssm.config.origins`
MODULES = {
    ("backscatter", "stac"): "mlssm.origins.stac.backscatter",
    ("backscatter", "opera"): "mlssm.origins.opera",
    ("backscatter", "earth_engine"): "mlssm.origins.earth_engine.backscatter",
    ("dem", "earth_engine"): "mlssm.origins.earth_engine.elevation",
    ("ndvi", "earth_engine"): "mlssm.origins.earth_engine.ndvi",
    ("dem", "stac"): "mlssm.origins.stac.elevation",
    ("ndvi", "stac"): "mlssm.origins.stac.ndvi",
    ("soil", "ssurgo"): "mlssm.origins.soil.ssurgo",
    ("soil", "soilgrids"): "mlssm.origins.soil.soilgrids",
    ("soil", "polaris"): "mlssm.origins.soil.polaris",
    ("weather", "noaa"): "mlssm.origins.noaa",
}


def fetcher(source: str, settings: Strict, downloads: Downloads) -> Fetcher:
    """What fetches a source.

    Raises:
        ConfigError: There is no such service, or its packages are not installed.
    """
    if isinstance(settings, OwnService):
        return own_fetcher(source, settings, downloads)
    service = str(settings.model_dump()["service"])
    module = import_module(MODULES[source, service])
    found: Fetcher = module.fetcher(settings, downloads)
    return found


def own_fetcher(source: str, settings: OwnService, downloads: Downloads) -> Fetcher:
    """What fetches a source from a service of the user's own.

    Raises:
        ConfigError: Its class cannot be imported, or does not do what a `Fetcher` does.
    """
    key = f"datamodule.origin.{source}.fetcher"
    try:
        make = imported(key, settings.fetcher, "my_package.Archive")
    except ValueError as error:
        raise ConfigError(str(error)) from None
    found: Fetcher = make(settings.settings, downloads)
    if not all(callable(getattr(found, name, None)) for name in ("plan", "fetch")):
        raise ConfigError(f"{key}={settings.fetcher} gives a {type(found).__name__} without 'plan' and 'fetch'")
    return found


def needs(extra: str, error: ImportError) -> ConfigError:
    """What to say where an extra's package is not installed."""
    return ConfigError(f"package '{error.name}' is missing; install it with: pip install 'mlssm[{extra}]'")
