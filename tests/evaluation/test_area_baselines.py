import numpy as np
import pytest

from mlssm.data.assemble import Experiment
from mlssm.evaluation.area_baselines import ANTECEDENT, PIXEL_MEAN, area_precipitation_index, fit_baselines, places_of
from mlssm.evaluation.evaluate import regular_grid
from mlssm.weather.stations import VARIABLES


def test_the_index_is_of_the_rain_up_to_the_end_of_each_window(experiment: Experiment) -> None:
    found = area_precipitation_index(experiment, 0)
    assert found.shape == experiment.cube.times.shape
    rain = experiment.field.weather.values[:, :, VARIABLES.index("precipitation")]
    days = experiment.field.weather.days
    # it lies between those of the driest and the wettest station of each day
    for bound, side in ((np.nanmin, 1), (np.nanmax, -1)):
        daily = np.nan_to_num(bound(np.where(np.isnan(rain).all(axis=1, keepdims=True), 0, rain), axis=1))
        for time in range(0, len(found), 7):
            end = int((experiment.cube.window_ends[time] - days[0]).astype(int))
            index = sum(daily[end - age] * np.exp(-age / 3) for age in range(end + 1))
            assert side * (found[time] - index) >= -1e-9


def test_a_place_is_what_the_dataset_gives(experiment: Experiment) -> None:
    dataset = regular_grid(experiment.datasets["test"])
    for position, (area, time, rows, cols) in enumerate(places_of(dataset)):
        ssm = experiment.retrieval.labels(area, np.array([time]), rows, cols).ssm[0]
        height, width = ssm.shape
        target = dataset[position].target.reshape(9, 9)[:height, :width].numpy()
        valid = dataset[position].valid.reshape(9, 9)[:height, :width].numpy()
        np.testing.assert_array_equal(target[valid], ssm[valid])
    assert position == len(dataset) - 1


def test_baselines_by_name(experiment: Experiment) -> None:
    (fitted,) = fit_baselines(experiment, regular_grid(experiment.datasets["train"]))
    everything = slice(None)
    dry, wet = int(np.argmin(fitted.api)), int(np.argmax(fitted.api))
    means = [fitted.predict(PIXEL_MEAN, time, everything, everything) for time in (dry, wet)]
    np.testing.assert_array_equal(*means)
    rain = [fitted.predict(ANTECEDENT, time, everything, everything).mean() for time in (dry, wet)]
    assert rain[0] < means[0].mean() < rain[1]
    part = fitted.predict(ANTECEDENT, wet, slice(18, 27), slice(9, 18))
    assert part.shape == (2, 9), "the area ends at row 20"


def test_an_area_without_training_labels_gets_the_others_mean(experiment: Experiment) -> None:
    train = regular_grid(experiment.datasets["train"])
    few = type(train)(train.patches.iloc[:1], train.size, train.retrieval, train.features, train.moments)
    (fitted,) = fit_baselines(experiment, few)
    area, time, rows, cols = next(places_of(few))
    labels = experiment.retrieval.labels(area, np.array([time]), rows, cols).ssm
    outside = fitted.predict(PIXEL_MEAN, 0, slice(15, 16), slice(15, 16))
    assert outside.item() == pytest.approx(float(np.nanmean(labels)), abs=1e-6)
