"""The picture of the viewer: a pixel's series, and what radar retrieved beside what was predicted.

Run it in a project's folder after `predict.py`; it opens the page in headless Chromium and uses it as a reader does:

    python docs/make_viewer_picture.py maps/index.html docs/images/viewer.png
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from chromium import SECONDS, Browser
from make_screenshots import shrink

READY = "document.body.dataset.shown !== undefined"
CHART = "document.querySelector('#chart canvas') !== null && !document.getElementById('right-pane').hidden"
STILL = 1.5  # seconds for the maps to move


def main() -> None:
    """Take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium", help="the program")
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 860), metavar=("WIDTH", "HEIGHT"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(arguments.chromium, Path(profile), *arguments.size)
        try:
            browser.call("Page.navigate", url=arguments.page.resolve().as_uri())
            _wait(browser, READY)
            for key in ("Enter", "r"):
                for kind in ("keyDown", "keyUp"):
                    browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
            _wait(browser, CHART)
            time.sleep(STILL)
            arguments.picture.write_bytes(shrink(browser.picture(), 256))
        finally:
            browser.close()


def _wait(browser: Browser, expression: str) -> None:
    end = time.monotonic() + SECONDS
    while not browser.evaluate(expression):
        if time.monotonic() > end:
            raise SystemExit(f"the page did not come to {expression}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
