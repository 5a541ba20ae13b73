"""Headless Chromium, for pictures and tests of pages."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 60  # that a page, a server or the browser may take
STILL = 1.0  # seconds without a change, after which a page is complete
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)
# Chromium reads commands from descriptor 3 and answers on 4
ON_DESCRIPTORS = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """Headless Chromium, spoken to by its DevTools protocol over a pipe."""

    def __init__(self, program: str, profile: Path, width: int, height: int) -> None:
        """Start it with a profile of its own and open an empty page."""
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()
        command = [program, *FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"]
        started = [sys.executable, "-c", ON_DESCRIPTORS, str(to_read), str(to_write), *command]
        self.process = subprocess.Popen(started, pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._numbers, self._pending, self._session = itertools.count(1), b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") != number:
                continue  # an event
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            return dict(answer["result"])

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            received = os.read(self._in, 1 << 16)
            if not received:
                raise RuntimeError("Chromium ended; is it installed, and does it start here?")
            self._pending += received
        first, self._pending = self._pending.split(b"\0", 1)
        return dict(json.loads(first))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, address: str, contains: str) -> None:
        """Open a page and wait until it shows a text and changes no more."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        end, before, since = time.monotonic() + SECONDS, "", time.monotonic()
        while time.monotonic() < end:
            time.sleep(0.25)
            text = str(self.evaluate("document.body ? document.body.innerText : ''"))
            if text != before:
                before, since = text, time.monotonic()
            if contains in text and time.monotonic() - since > STILL:
                return
        raise RuntimeError(f"{address} did not show {contains!r} within {SECONDS} s; it shows: {before[:300]}")

    def picture(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(SECONDS)
        os.close(self._in)
        os.close(self._out)
