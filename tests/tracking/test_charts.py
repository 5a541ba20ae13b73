import base64
import json
import zlib

from mlssm.tracking import charts
from mlssm.tracking.opening import open_store
from mlssm.tracking.tags import NOTE

LONGEST = 5000  # what MLflow's database keeps of an experiment's tag


def test_the_experiment_is_made_with_the_view_and_a_description_that_leads_to_it(store) -> None:
    tags = store.client.get_experiment(store.experiment_id).tags
    view = json.loads(tags[charts.TAG])
    assert (view["name"], type(view["createdAt"])) == ("Scores", int)
    assert view["state"].startswith("deflate;")
    state = json.loads(zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;"))))
    assert state == {key: view[key] for key in state}, "what older versions read is the same"
    assert len(tags[charts.TAG]) < LONGEST
    link = f"#/experiments/{store.experiment_id}/runs?compareRunsMode=CHART&viewStateShareKey=scores"
    assert tags["mlflow.note.content"] == f"[Charts of the scores]({link})"


def test_each_chart_stands_in_a_section_and_shows_a_metric_of_ours() -> None:
    state = charts.chart_state()
    shown = state["compareRunCharts"]
    assert {chart["metricSectionId"] for chart in shown} == {part["uuid"] for part in state["compareRunSections"]}
    assert len({chart["uuid"] for chart in shown}) == len(shown) == 10
    assert {chart["metricKey"] for chart in shown} == {*charts.COMPARED, *charts.FURTHER}
    (line,) = (chart for chart in shown if chart["type"] == "LINE")
    assert line["metricKey"] == line["selectedMetricKeys"][0] == "val/natural/rmse"


def test_what_a_user_made_of_the_view_stays(config, store) -> None:
    store.client.delete_experiment_tag(store.experiment_id, charts.TAG)
    store.client.set_experiment_tag(store.experiment_id, NOTE, "mine")
    tags = open_store(config).client.get_experiment(store.experiment_id).tags
    assert charts.TAG not in tags
    assert tags[NOTE] == "mine"
