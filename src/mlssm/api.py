"""The commands as functions, for notebooks and other programs: `import mlssm`, then `mlssm.train(...)`.

All take what the command line takes: overrides as text, `"model.lag=7"`, or as a mapping, `{"model.lag": 7}`; a key
without a dot can be a keyword, `seed=3`. Choices of a group are the same: `model="convlstm"`. Paths count from the
working directory. A wrong key, a bad file or a missing run raises a class of `mlssm.errors` whose message names the
cure. Sweeps and searches have many jobs, and are for the command line: `python train.py -m ...`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from mlssm.cli import CONF, explain, for_hydra, register_resolvers, resolved
from mlssm.config import PredictConfig, TrainConfig, parse
from mlssm.errors import ConfigError
from mlssm.processes import slow_imports
from mlssm.secrets import mask_logs

if TYPE_CHECKING:
    import xarray as xr

    from mlssm.bundle import Bundle
    from mlssm.inference.opened import Place
    from mlssm.tracking.find import Run

Told = str | Mapping[str, object]
Places = dict[tuple[str, ...], tuple["PredictConfig", "Place"]]  # by the overrides of `predict_map`


@dataclass(frozen=True)
class TrackedTraining:
    """A training as it is tracked; `train` and `load_run` give it.

    Attributes:
        run_id: The MLflow run's id, which `python predict.py run=<id>` takes.
        name: The run's name.
        status: FINISHED, FAILED, KILLED or RUNNING.
        verdict: Whether the model is better than the best baseline, a sentence; empty where it was not scored.
        warnings: What to beware of in its scores and maps, a sentence each.
        metrics: Last value of each metric, e.g. `metrics["test/natural/r2"]`; SSM units, 0..1.
        parameters: Every key of the configuration, as text, e.g. `parameters["model.lag"]`.
        tracking: Overrides that say where runs are kept, as they were given.
    """

    run_id: str
    name: str
    status: str
    verdict: str
    warnings: tuple[str, ...]
    metrics: dict[str, float] = field(repr=False)
    parameters: dict[str, str] = field(repr=False)
    tracking: tuple[str, ...] = field(repr=False)
    _places: Places = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def model(self) -> Bundle:
        """What the trained model says of itself: family, window, channels, pixel, CRS; without its weights.

        Raises:
            RunError: The run has no model, or it is damaged.
        """
        from mlssm.bundle import load

        return load(self.artifact("model"))[0]

    @property
    def report(self) -> Path:
        """The run's page, `report.html`.

        Raises:
            RunError: The run has none, as it was killed or is one of a search.
        """
        return self.artifact("report.html")

    def artifact(self, path: str) -> Path:
        """A file or folder that the run keeps, e.g. `scores.csv`, on this machine.

        Raises:
            RunError: The run has no such artifact.
        """
        from mlssm.tracking.find import artifact
        from mlssm.tracking.opening import open_store

        config = _predict_config([*self.tracking])
        return artifact(open_store(config.tracking), self.run_id, path)

    def predict_map(self, day: str, *overrides: Told, **keys: object) -> xr.DataArray:
        """The map of a day, in memory; no file of it is kept, but the area's cube is, where it was not there yet.

        The model and its area are opened with the first map, and kept for further days under the same overrides.

        Args:
            day: ISO 8601, e.g. `2023-01-01`.
            overrides: As of `predict.py`, e.g. `"root=other_area"`, `"level=0.8"`.
            keys: The same, of keys without a dot.

        Returns:
            float32 [band, y, x] on the area's whole grid, NaN where nothing is mapped. Bands are those of the GeoTIFF:
            `ssm` (0 driest, 1 wettest seen), then as the model has them `lower`, `upper`, `standard_error`,
            `probability_above_<threshold>`, `labelled`, `flags` and more. `spatial_ref` has the CRS.

        Raises:
            MlssmError: The run has no model, or the area or the weather do not allow a map of that day.
        """
        import numpy as np

        told = _overrides(overrides, keys)
        with slow_imports():
            from mlssm.jobs.array_map import day_array
            from mlssm.mapping.days import parse_days
        (date,) = parse_days((day,))
        config, place = self._place(told)
        return day_array(place, config, np.datetime64(date, "D"))

    def retrieved_maps(self, first: str, last: str, *overrides: Told, **keys: object) -> xr.DataArray:
        """What radar itself says on the days of images: SSM retrieved with the references of training.

        Args:
            first: First local day, ISO 8601.
            last: Last one, included.
            overrides: As of `predict_map`.
            keys: The same.

        Returns:
            float32 [time, y, x], 0..1, on the grid of the maps; NaN where nothing is retrieved. A day without an image
            is left out.

        Raises:
            MlssmError: The run has no model, the area does not fit it, or there is no image in these days.
        """
        with slow_imports():
            from mlssm.jobs.array_map import retrieved_array
            from mlssm.mapping.days import parse_days
        days = parse_days(f"{first}/{last}")
        return retrieved_array(self._place(_overrides(overrides, keys))[1], days[0], days[-1])

    def open_area(self, *overrides: Told, **keys: object) -> xr.Dataset:
        """The cube of the area that the run's maps are of; see `mlssm.open_area`."""
        from mlssm.mapping.arrays import cube_dataset

        return cube_dataset(self._place(_overrides(overrides, keys))[1].opened().cube)

    def _place(self, told: tuple[str, ...]) -> tuple[PredictConfig, Place]:
        if told not in self._places:
            with slow_imports():
                from mlssm.jobs.open_run import check_fit, find_place
            config = _predict_config([*self.tracking, *told, {"run": self.run_id}])
            place = find_place(config, None, state=config.state)
            check_fit(place.opened())
            self._places[told] = config, place
        return self._places[told]


def train(*overrides: Told, **keys: object) -> TrackedTraining:
    """Train, score and track one model, as `python train.py` does; prints what that prints.

    Args:
        overrides: What is other than the defaults: `"model.lag=7"`, or `{"model.lag": 7, "split": "by_date"}`.
        keys: The same, of keys without a dot.

    Returns:
        The run; with `seeds` above 1 the one that shows them all.

    Raises:
        MlssmError: The configuration or the input does not allow it; the message says what to do.
    """
    told = _overrides(overrides, keys)
    composed = _compose("train", told)
    if composed.is_sweep:
        raise ConfigError("this is a sweep of several trainings; run it with: python train.py -m, or loop over train()")
    config = parse(TrainConfig, composed.values)
    config.datamodule.require_root()
    if config.datamodule.dry_run:
        raise ConfigError("datamodule.dry_run=true trains nothing; run it with: python train.py")
    mask_logs()
    with slow_imports():
        from mlssm.jobs.train import train as job
    outcome = job(config, composed.values, composed.folder, told)
    return load_run(outcome.run_id, *_of_tracking(told))


def predict(*overrides: Told, **keys: object) -> list[Path]:
    """Write maps, as `python predict.py` does.

    Args:
        overrides: `"run=<id>"`, `"dates=[2023-01-01]"`, or a mapping.
        keys: The same, of keys without a dot: `predict(run=run.run_id, dates=["2023-01-01"], output="maps")`.

    Returns:
        The GeoTIFFs, a day each.

    Raises:
        MlssmError: The run, the model or the area do not allow it; the message says what to do.
    """
    config = _predict_config(_overrides(overrides, keys))
    mask_logs()
    with slow_imports():
        from mlssm.jobs.predict import predict as job
    return job(config)


def open_area(*overrides: Told, **keys: object) -> xr.Dataset:
    """An area's cube as xarray, decoded; it is made first where it is not there, as `python train.py` makes it.

    Args:
        overrides: As of `train`: `"datamodule=geotiff"`, `"datamodule.root=my_area"`.
        keys: The same, of keys without a dot.

    Returns:
        Backscatter (dB), incidence angle, terrain, NDVI and weather, read when they are asked for; see
        `mlssm.mapping.arrays.cube_dataset`.

    Raises:
        MlssmError: A source is missing, unreadable or does not fit.
    """
    config = parse(TrainConfig, _compose("train", _overrides(overrides, keys)).values)
    config.datamodule.require_root()
    mask_logs()
    with slow_imports():
        from mlssm.jobs.area import open_area as job
        from mlssm.mapping.arrays import cube_dataset
    return cube_dataset(job(config.datamodule, config.on_bad_file, config.weather))


def load_run(run: str = "latest", *overrides: Told, **keys: object) -> TrackedTraining:
    """A run that is there already.

    Args:
        run: Its id or the beginning of it, `latest`, `models:/<name>@champion`, as of `predict.py`.
        overrides: Where runs are kept, if not in the usual place: `"tracking.experiment=mine"`.
        keys: The same, of keys without a dot.

    Raises:
        RunError: There is no such run.
    """
    from mlssm.tracking.find import find_run
    from mlssm.tracking.opening import open_store

    told = _overrides(overrides, keys)
    config = _predict_config([*told, {"run": run}])
    return _training(find_run(open_store(config.tracking), config.run), told)


def _training(run: Run, tracking: tuple[str, ...]) -> TrackedTraining:
    return TrackedTraining(
        run.run_id, run.name, run.status, run.verdict, run.warnings, run.metrics, run.params, tracking
    )


def _predict_config(told: Sequence[Told]) -> PredictConfig:
    return parse(PredictConfig, _compose("predict", _overrides(told, {})).values)


def _of_tracking(told: Sequence[str]) -> list[str]:
    return [item for item in told if item.startswith(("tracking=", "tracking."))]


@dataclass(frozen=True)
class _Composed:
    """A configuration as plain containers, the folder that its job would have, and whether it has many jobs."""

    values: dict[str, Any]
    folder: Path
    is_sweep: bool


def _compose(name: str, overrides: Sequence[str]) -> _Composed:
    """What Hydra makes of the configuration and the overrides.

    Raises:
        ConfigError: An override names no key or choice that there is, or a key is not set.
    """
    register_resolvers()
    with _told_as_ours(), initialize_config_dir(str(CONF.absolute()), version_base="1.3"):
        config = compose(name, for_hydra(overrides), return_hydra_config=True)
        folder, is_sweep = Path(str(config.hydra.run.dir)), config.hydra.mode == RunMode.MULTIRUN
        with read_write(config), open_dict(config):
            del config["hydra"]
        return _Composed(resolved(config), folder, is_sweep)


@contextmanager
def _told_as_ours() -> Iterator[None]:
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from None


def _overrides(told: Sequence[Told], keys: Mapping[str, object]) -> tuple[str, ...]:
    """Overrides of all kinds as the command line has them, in their order."""
    found = []
    for item in (*told, keys):
        found += [item] if isinstance(item, str) else [f"{key}={literal(value)}" for key, value in item.items()]
    return tuple(found)


def literal(value: object) -> str:
    """A value in the grammar of Hydra's overrides: text is quoted, None is null.

    Raises:
        ConfigError: It is neither text, a path, a number, a truth value, None, nor a list or mapping of such.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        return QuotedString(str(value), Quote.single).with_quotes()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(literal, value)) + "]"
    raise ConfigError(f"{value!r} is a {type(value).__name__}; give text, numbers, lists or mappings")
