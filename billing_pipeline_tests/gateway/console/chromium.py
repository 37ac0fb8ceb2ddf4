"""Headless Chromium, driven over its DevTools protocol: goes to pages, types, clicks, and takes pictures."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_WAIT_SECONDS = 60
_POLL_SECONDS = 0.05


class Chromium:
    """One browser with one tab, as large as a phone unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAM is not None
        command = [PROGRAM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            self._connection = connect(self._tab(), max_size=None, open_timeout=_WAIT_SECONDS)
            self._socket = self._connection.__enter__()
        except BaseException:
            self._end()
            raise
        self._calls = 0
        self.problems: list[str] = []
        """What the page's console and its policies complained of."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(390, 844)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._connection.__exit__(None, None, None)
        self._end()

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=_WAIT_SECONDS))
            if message.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown"}:
                self.problems.append(json.dumps(message["params"]))
            if message.get("id") == self._calls:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be of another size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def go(self, url: str) -> None:
        """Go to a page, and wait for it."""
        self.evaluate("window.left = true")
        self.call("Page.navigate", url=url)
        self._wait_for_page()

    def fill(self, selector: str, text: str) -> None:
        """Type into a field, as a person's keys do."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click in the middle of an element, and wait for the page that it leads to."""
        place = self.evaluate(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]})()"
        )
        self.evaluate("window.left = true")
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )
        self._wait_for_page()

    def text(self) -> str:
        """What a person reads."""
        found: str = self.evaluate("document.body.innerText")
        return found

    def picture(self) -> bytes:
        """The page as PNG, from top to bottom."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def _wait_for_page(self) -> None:
        for _ in range(int(_WAIT_SECONDS / _POLL_SECONDS)):
            if self.evaluate("!window.left && document.readyState === 'complete'"):
                return
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"no page came after {self.evaluate('location.href')}")

    def _tab(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"DevTools listening on ws://([^/]+)/", line):
                with urllib.request.urlopen(f"http://{found[1]}/json", timeout=_WAIT_SECONDS) as answer:
                    tabs = json.load(answer)
                return str(next(tab for tab in tabs if tab["type"] == "page")["webSocketDebuggerUrl"])
        raise AssertionError("Chromium did not start")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
