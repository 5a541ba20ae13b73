"""Memory of the pixel against numpy, and without the season that it is used for."""

import numpy as np

from mlssm.response.base import Response
from mlssm.response.folds import Retrieved
from mlssm.response.memory import MEMORY, Memory, remembered


def test_memory_is_what_training_labels_say() -> None:
    relative = np.random.default_rng(0).normal(0.5, 0.6, (8, 3, 2))
    relative[2, 1, 1] = np.nan
    relative[:, 0, 0] = np.nan
    training = np.arange(8) < 6
    maps = np.random.default_rng(1).random((3, 3, 2))
    found = Retrieved(relative, maps[0], maps[1], maps[2])
    memory = remembered(found, Response(maps[0], maps[1], maps[2]), training)
    labels = np.clip(relative, 0, 1)[training]
    known = np.ones((3, 2), bool)
    known[0, 0] = False
    assert len(memory) == len(MEMORY)
    assert np.allclose(memory[0][known], np.nanmean(labels[:, known], axis=0))
    assert np.allclose(memory[3][known], np.nanstd(labels[:, known], axis=0))
    assert np.array_equal(memory[1][known], maps[1][known])
    assert np.array_equal(memory[2][known], maps[0][known])
    assert np.isnan(memory[:, 0, 0]).all()


def test_a_training_season_has_its_own_and_others_the_whole() -> None:
    memory = Memory({2020: np.zeros((4, 1, 1))}, np.ones((4, 1, 1)))
    assert not memory.of(2020).any()
    assert memory.of(2021).all()
