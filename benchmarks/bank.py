"""The closed form on the simulated watershed: one driver, a bank of indices, a bank with buckets; R2, RMSE, seconds.

    python benchmarks/bank.py [Hydra overrides]

Simulates the default watershed in a temporary folder unless `datamodule.root` is given, and scores the test split's
natural distribution. Twice: fitted on the training split alone, and with the validation season too, as held-out seasons
of training make every choice.
"""

from __future__ import annotations

import sys
import tempfile
import time

import numpy as np

from mlssm.config import TrainConfig
from mlssm.data.assemble import Experiment, assemble
from mlssm.jobs.area import open_area
from mlssm.response.base import Booleans
from mlssm.response.closed_form import ClosedForm
from mlssm.response.driver import Driver, Forcing, bank, index_driver
from mlssm.response.driver_maps import Drivers
from mlssm.response.extents import Backscatter, closed_form_extents
from mlssm.response.fitted import Settings
from response import Score, compose_config, dates_of


def scored(experiment: Experiment) -> list[Booleans]:
    """Which pixels of each extent the test split scores, [time, height, width]."""
    times = len(experiment.cube.times)
    found = [np.zeros((times, *place.shape), bool) for place in experiment.field.places]
    test = experiment.datasets["test"]
    for position in range(len(test)):
        place, valid = test.place(position), test[position].valid[0].numpy()
        part = found[place.extent][place.time, place.rows, place.cols]
        part[...] = valid[: part.shape[0], : part.shape[1]]
    return found


def banks(experiment: Experiment) -> dict[str, list[Driver]]:
    """One driver, indices, and indices with buckets."""
    field = experiment.field
    forcing = Forcing.of(field.weather, field.station_xy, field.config.neighbours, field.config.power)
    many = {"bank of indices": bank(forcing, buckets=False), "bank with buckets": bank(forcing)}
    return {"log(1 + API) of 3 days": [index_driver(forcing)], **many}


def fit(experiment: Experiment, config: TrainConfig, training: Booleans, drivers: list[Driver]) -> ClosedForm:
    """Fit on the training dates."""
    dates, masks = dates_of(experiment.cube), experiment.retrieval.masks
    source = Backscatter.of(experiment.cube, experiment.stack, masks, config.retrieval)
    extents = closed_form_extents(source, Drivers(experiment.field), training, dates.seasons, drivers)
    return ClosedForm.fit(extents, dates, training, Settings())


def score(form: ClosedForm, where: list[Booleans]) -> tuple[Score, Score]:
    """Forecast and nowcast of the test split."""
    target, plain, now = [], [], []
    for number, valid in enumerate(where):
        forecasts = form.forecasts(number)
        target.append(form.labels(number)[valid])
        plain.append(forecasts[valid])
        now.append(form.nowcasts(number, forecasts)[valid])
    known = np.concatenate(target)
    return Score.of(np.concatenate(plain), known), Score.of(np.concatenate(now), known)


def main(*overrides: str) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        config = compose_config(f"datamodule.root={folder}/area", f"datamodule.cubes={folder}/cubes", *overrides)
        cube = open_area(config.datamodule, config.on_bad_file)
        experiment = assemble(cube, config)
        where = scored(experiment)
        print(f"n = {sum(int(valid.sum()) for valid in where)}")
        times = {name: sorted(experiment.datasets[name].times) for name in ("train", "val")}
        for label, parts in {"training": ("train",), "training and validation": ("train", "val")}.items():
            training = np.zeros(len(cube.times), bool)
            training[[int(time) for name in parts for time in times[name]]] = True
            print(f"{training.sum()} dates of {label}{'':20} forecast R2/RMSE  nowcast R2/RMSE")
            for name, drivers in banks(experiment).items():
                start = time.perf_counter()
                form = fit(experiment, config, training, drivers)
                seconds = time.perf_counter() - start
                plain, now = score(form, where)
                print(f"  {name:34} {plain}   {now}   {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
