"""The page in headless Chromium."""

import importlib.util
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import DAYS

PROGRAM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed (apt-get install chromium)"),
]
SECONDS = 60
# what goes wrong on a page, from before its first line on
LISTEN = """
window.wrong = [];
for (const kind of ["error", "unhandledrejection", "securitypolicyviolation"])
  window.addEventListener(kind, (event) =>
    wrong.push(kind + ": " + (event.message || event.reason || event.violatedDirective)));
for (const kind of ["error", "warn"]) console[kind] = (...what) => wrong.push("console: " + what.join(" "));
"""


class Page:
    """The page, opened."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def value(self, expression: str) -> Any:
        return self.browser.evaluate(expression)

    def wait(self, expression: str) -> None:
        end = time.monotonic() + SECONDS
        while not self.value(expression):
            assert time.monotonic() < end, f"never: {expression}; {self.value('wrong')}"
            time.sleep(0.05)

    def key(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def shows(self, text: str) -> None:
        self.wait(f"document.body.dataset.shown === {text!r}")

    def picture(self) -> str:
        return str(
            self.value("[...document.querySelectorAll('#left .leaflet-moisture-pane img')].map(i => i.src).join()")
        )


def _browser_class() -> Callable[..., Any]:
    """The browser that makes the pictures of the documentation."""
    path = Path(__file__).parents[3] / "docs" / "chromium.py"
    spec = importlib.util.spec_from_file_location("chromium", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Browser  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def opened(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    browser = _browser_class()(PROGRAM, tmp_path_factory.mktemp("profile"), 1200, 800)
    try:
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=LISTEN)
        browser.call("Page.enable")
        browser.call("Page.navigate", url=page.as_uri())
        yield Page(browser)
    finally:
        browser.close()


def test_the_page_is_used_as_a_reader_uses_it(opened: Page) -> None:
    opened.shows(f"{DAYS[2]} ssm")
    assert "3 January 2023 · forecast" in opened.value("document.getElementById('day').textContent")
    last = opened.picture()
    assert last.count("data:image/png") == 2

    # the slider
    opened.value("(s => { s.value = 0; s.dispatchEvent(new Event('input')) })(document.getElementById('slider'))")
    opened.shows(f"{DAYS[0]} ssm")
    assert opened.picture() != last

    # keys
    opened.key("End")
    opened.shows(f"{DAYS[2]} ssm")
    assert opened.picture() == last
    opened.key("ArrowLeft")
    opened.shows(f"{DAYS[1]} ssm")
    opened.key("b")
    opened.shows(f"{DAYS[1]} lower")
    opened.value("(s => { s.value = 0; s.dispatchEvent(new Event('change')) })(document.getElementById('band'))")
    opened.shows(f"{DAYS[1]} ssm")
    opened.key(" ")
    opened.shows(f"{DAYS[2]} ssm")  # it plays
    opened.key(" ")
    assert opened.value("document.getElementById('play').textContent") == "▶"

    # what radar saw, beside it
    opened.key("r")
    opened.wait("document.getElementById('right-title').textContent.includes('2023-01-02')")
    opened.wait("document.querySelector('#right .leaflet-moisture-pane img').src.startsWith('data:image/png')")

    # a click on the middle of the first extent, and a pixel's series
    place = "document.querySelector('#left .leaflet-moisture-pane img').getBoundingClientRect()"
    x, y = opened.value(f"(r => r.x + r.width / 2)({place})"), opened.value(f"(r => r.y + r.height / 2)({place})")
    opened.click(x + 14, y + 14)
    opened.wait("!document.getElementById('series').hidden && document.querySelector('#chart canvas') !== null")
    labels = opened.value("[...document.querySelectorAll('#chart .u-label')].map(l => l.textContent)+''")
    assert labels == "day,lower,upper,soil moisture,retrieved,rain, mm"
    opened.key("Escape")
    opened.wait("document.getElementById('series').hidden")

    # the middle of the map lies between the two extents: the nearest one's middle counts
    opened.key("Enter")
    opened.wait("document.getElementById('series-title').textContent.startsWith('extent ')")
    opened.wait("!document.getElementById('series').hidden")
    opened.key("Escape")
    opened.wait("document.getElementById('series').hidden")

    # an extent alone
    width = "document.querySelector('#left .leaflet-moisture-pane img').getBoundingClientRect().width"
    before = opened.value(width)
    opened.value("(s => { s.value = 0; s.dispatchEvent(new Event('change')) })(document.getElementById('extent'))")
    opened.wait(f"{width} > {before}")

    # nothing of what others wrote ran, and nothing went wrong
    assert opened.value("window.attacked") is None
    assert opened.value("wrong") == []
