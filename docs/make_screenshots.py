"""Pictures of the MLflow UI for these pages: a sweep's runs, charts and page, and where to click at first.

Run it in a project's folder after a sweep; it starts `mlflow ui` on this machine and opens it in headless Chromium:

    python docs/make_screenshots.py --mlruns mlruns --output docs/images
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromium import SECONDS, Browser

if TYPE_CHECKING:
    from mlssm.tracking.find import Run
    from mlssm.tracking.store import Store

COLORS = 128  # of a picture's palette
# what the page remembers of a view, under these keys of its local storage
STATE = 'MLflowLocalStorage-1.1-ExperimentPage-["{experiment}"]-ReactComponentState'
CLOSED = {
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.workflowType_v1": '"machine_learning"',
}
GENAI = {"mlflow.workflowType_v1": '"genai"'}  # how MLflow opens an experiment
CHARTS = 'label:has(input[value="CHART"])'
# draws a frame around elements that are given by their text or by a selector; returns those that are missing
FRAMES = """(names => names.filter(name => {
  const shown = element => element.getBoundingClientRect().width > 0;
  const words = [...document.querySelectorAll("button, a, label, [role=tab], span, div")];
  const found = name.includes("[") ? [...document.querySelectorAll(name)]
    : words.filter(element => element.innerText && element.innerText.trim() === name);
  const inner = found.filter(shown).pop();
  if (!inner) return true;
  const element = inner.closest("button, label") || inner;
  const at = element.getBoundingClientRect(), frame = document.createElement("div");
  frame.style.cssText = "position: fixed; border: 3px solid #d6336c; border-radius: 6px; z-index: 99999; "
    + `left: ${at.left - 6}px; top: ${at.top - 5}px; width: ${at.width + 12}px; height: ${at.height + 10}px`;
  document.body.append(frame);
  return false;
}).join(", "))"""
DISMISSED = "[...document.querySelectorAll('button')].filter(one => one.innerText === 'Got it').map(one => one.click())"
HIDDEN = "<style>.modebar {display: none !important}</style>"


@dataclass(frozen=True)
class View:
    """A page to take a picture of.

    Attributes:
        name: Of the picture's file.
        path: Of the page, below the UI's address.
        contains: A text that it shows once it is there.
        state: What the experiment's page is to remember.
        frames: Texts, or selectors, of what is to be clicked: a frame is drawn around them.
        stored: Of the local storage, what is other than for all pages.
    """

    name: str
    path: str
    contains: str
    state: Mapping[str, Any]
    frames: tuple[str, ...] = ()
    stored: Mapping[str, str] = field(default_factory=dict)


def views(experiment: str, sweep: Run, runs: Sequence[Run]) -> list[View]:
    """The pages of a sweep."""
    from mlssm.tracking.charts import COMPARED, COURSE, NATURAL, chart_state
    from mlssm.tracking.comparison import changed_parameters

    best = min((run for run in runs if COURSE in run.metrics), key=lambda run: run.metrics[COURSE])
    columns = [*(f"params.`{key}`" for key in changed_parameters(runs)), *(f"metrics.`{key}`" for key in COMPARED)]
    state = {
        "selectedColumns": ["attributes.`Dataset`", *columns],
        "runsExpanded": {sweep.run_id: True},
        "runsVisibilityMap": {sweep.run_id: False},
        "runsHiddenMode": "CUSTOM",
        **chart_state(),
    }
    runs_page = f"/#/experiments/{experiment}/runs"
    best_page = f"{runs_page}/{best.run_id}"
    return [
        View("mlflow_runs", runs_page, best.name, state),
        View("mlflow_charts", f"{runs_page}?compareRunsMode=CHART", NATURAL, state),
        View("mlflow_sweep", f"{runs_page}/{sweep.run_id}", sweep.run_id, state),
        View("first_model_training", f"/#/experiments/{experiment}", "Usage", {}, ("Model training",), GENAI),
        View("first_columns", runs_page, best.name, state, ("Columns", CHARTS, "Views")),
        View("first_run", best_page, best.run_id, state, ("Artifacts", "report.html")),
    ]


def newest_sweep(store: Store) -> str:
    """The run id of the sweep that was started last."""
    found = store.client.search_runs(
        [store.experiment_id], "tags.`mlssm.kind` = 'sweep'", max_results=1, order_by=["attributes.start_time DESC"]
    )
    if not found:
        raise SystemExit(f"there is no sweep at {store.uri}; make one with: python train.py -m model.lag=1,3")
    return str(found[0].info.run_id)


@contextmanager
def user_interface(uri: str) -> Iterator[str]:
    """Start `mlflow ui` on a free port of this machine; the address is given, and the server ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workers", "1"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _await(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(SECONDS)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"mlflow ui did not come up within {SECONDS} s")


def take(browser: Browser, address: str, experiment: str, view: View) -> bytes:
    """Open a page as the view describes it and take its picture."""
    browser.open(f"{address}/health", "OK")  # local storage is the address's
    key = STATE.format(experiment=experiment)
    for name, value in {**CLOSED, key: json.dumps(view.state), **view.stored}.items():
        browser.evaluate(f"localStorage.setItem({json.dumps(name)}, {json.dumps(value)})")
    browser.open(address + view.path, view.contains)
    browser.evaluate(f"document.head.insertAdjacentHTML('beforeend', {json.dumps(HIDDEN)})")
    browser.evaluate(DISMISSED)
    if missing := browser.evaluate(f"{FRAMES}({json.dumps(view.frames)})"):
        raise RuntimeError(f"the page of {view.name} does not show {missing}")
    return browser.picture()


def shrink(png: bytes, colors: int = COLORS) -> bytes:
    """The picture with a palette: a page has few colours."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(colors).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlruns", type=Path, default=Path("mlruns"), help="folder with mlflow.db (mlruns)")
    parser.add_argument("--experiment", default="mlssm", help="name of the MLflow experiment (mlssm)")
    parser.add_argument("--sweep", default=None, help="run id of the sweep (the newest)")
    parser.add_argument("--output", type=Path, default=Path("docs/images"), help="folder of the pictures (docs/images)")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium", help="the program")
    parser.add_argument("--size", type=int, nargs=2, default=(1500, 760), metavar=("WIDTH", "HEIGHT"))
    arguments = parser.parse_args()

    from mlssm.config import TrackingConfig
    from mlssm.tracking.find import children, download, find_run
    from mlssm.tracking.opening import open_store

    if not (arguments.mlruns / "mlflow.db").is_file():
        parser.error(f"there is no mlflow.db in {arguments.mlruns}")
    uri = f"sqlite:///{(arguments.mlruns / 'mlflow.db').absolute()}"
    store = open_store(TrackingConfig(experiment=arguments.experiment, folder=arguments.mlruns, uri=uri, run_name=None))
    sweep = find_run(store, arguments.sweep or newest_sweep(store))
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        lags = download(store, sweep.run_id, "figures/lags.png", Path(folder))
        shutil.copy(lags, arguments.output / "first_lags.png")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, user_interface(uri) as address:
        browser = Browser(arguments.chromium, Path(profile), *arguments.size)
        try:
            for view in views(store.experiment_id, sweep, children(store, sweep.run_id)):
                picture = shrink(take(browser, address, store.experiment_id, view))
                path = arguments.output / f"{view.name}.png"
                path.write_bytes(picture)
                sys.stderr.write(f"{path}: {len(picture) / 1000:.0f} kB\n")
        finally:
            browser.close()


if __name__ == "__main__":
    main()
