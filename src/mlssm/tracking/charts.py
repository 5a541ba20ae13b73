"""The view of an experiment's charts that its tags keep: the scores that people compare, in place of all metrics.

MLflow's page reads a view from a tag of the experiment, by the address's `viewStateShareKey`: plain JSON of the page's
state. Newer versions want the state in a field of its own, compressed, beside a name under which they list the view.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

KEY = "scores"
TAG = f"mlflow.sharedViewState.{KEY}"
TITLE = "Scores"
NATURAL, BALANCED = "Scores on the natural distribution", "On the balanced distribution, and of wet states"
COMPARED = ("test/natural/rmse", "test/natural/r2", "test/natural/skill", "val/natural/rmse", "val/natural/r2")
FURTHER = ("test/balanced/rmse", "test/balanced/r2", "test/detection/csi_0.6", "seconds")
COURSE = "val/natural/rmse"


def page(experiment_id: str) -> str:
    """The view's address, below that of the user interface."""
    return f"#/experiments/{experiment_id}/runs?compareRunsMode=CHART&viewStateShareKey={KEY}"


def description(experiment_id: str) -> str:
    """The experiment's description, Markdown, which leads to the view."""
    return f"[Charts of the scores]({page(experiment_id)})"


def saved_view(made_ms: int) -> str:
    """The tag's value.

    Args:
        made_ms: When the experiment was made, milliseconds since 1970.
    """
    state = chart_state()
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode("ascii")
    return json.dumps({"name": TITLE, "createdAt": made_ms, "state": f"deflate;{packed}", **state})


def chart_state() -> dict[str, Any]:
    """What the page is to show: a bar a run for each score, the course of the validation's, and no other metric."""
    bars = [_bar(key, "natural") for key in COMPARED] + [_bar(key, "balanced") for key in FURTHER]
    line = {"type": "LINE", "uuid": "course", "metricKey": COURSE}
    axis = {"selectedMetricKeys": [COURSE], "xAxisKey": "step", "lineSmoothness": 0, "useGlobalLineSmoothing": True}
    return {
        "compareRunCharts": [*bars[: len(COMPARED)], _card("natural") | line | axis, *bars[len(COMPARED) :]],
        "compareRunSections": [_section("natural", NATURAL), _section("balanced", BALANCED)],
        "isAccordionReordered": True,  # else the sections that MLflow makes of all metrics stand above ours
        "hideEmptyCharts": True,
    }


def _bar(key: str, section: str) -> dict[str, Any]:
    return _card(section) | {"type": "BAR", "uuid": f"bar {key}", "metricKey": key}


def _card(section: str) -> dict[str, Any]:
    return {"deleted": False, "isGenerated": False, "metricSectionId": section, "runsCountToCompare": 20}


def _section(uuid: str, name: str) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": False, "deleted": False, "isGenerated": False}
