from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mlssm.bundle.nested import pack, unpack
from mlssm.jobs.gone import KEY, tell_gone, trained_on

TIMES = np.array(["2021-01-01T14:00:00", "2021-01-13T14:00:00", "2021-01-25T14:00:00"], "datetime64[s]")


def cube(stations: str = "abc", images: slice = slice(None)) -> Any:
    return SimpleNamespace(manifest=SimpleNamespace(stations=tuple(stations)), times=TIMES[images])


def opened(now: Any, *, own: bool = True, nowcast: bool = False, kept: bool = True) -> Any:
    text, tensors = pack(trained_on(cube()))
    fitted = {KEY: unpack(text, tensors)} if kept else {}
    form = SimpleNamespace(nowcast=nowcast)
    return SimpleNamespace(fitted=fitted, labelled=[np.array([[own, False]])], cube=now, form=form)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_where_all_is_there_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    tell_gone(opened(cube()))
    tell_gone(opened(cube("abcd")))  # one more
    tell_gone(opened(cube("a"), kept=False))  # a model of before
    assert told(caplog) == []


def test_a_station_that_is_gone_is_named_with_what_changes(caplog: pytest.LogCaptureFixture) -> None:
    tell_gone(opened(cube("b")))
    assert told(caplog) == [
        "stations that training had are gone: a, c; their weather is interpolated from the 1 that are left"
    ]


@pytest.mark.parametrize(("nowcast", "change"), [(True, "the nowcast does not see them"), (False, "nothing else")])
def test_so_are_images(caplog: pytest.LogCaptureFixture, nowcast: bool, change: str) -> None:
    tell_gone(opened(cube(images=slice(1, None)), nowcast=nowcast))
    (line,) = told(caplog)
    assert line.startswith("1 images that training had are gone (2021-01-01T14:00:00): ")
    assert change in line


def test_another_area_is_said_to_be_one(caplog: pytest.LogCaptureFixture) -> None:
    tell_gone(opened(cube("xyz"), own=False))
    assert told(caplog) == ["the area is not the one that the model was trained on: none of its pixels carried a label"]
