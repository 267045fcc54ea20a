"""A real browser that is told what to do, over a pipe, in Chromium's DevTools protocol: it types, taps and reloads."""

import base64
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from browser import find_browser, flags

WAIT = 30.0
"""Seconds after which what a page was to show is taken not to come."""


class Browser:
    """A headless Chromium with one page; a context manager.

    Args:
        folder: for its profile and its log, `browser.log`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self._buffer = b""
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> "Browser":
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # The browser reads commands at descriptor 3 and writes answers at 4.
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        command = [find_browser(), *flags(self.folder / "profile"), "--remote-debugging-pipe"]
        command.append("about:blank")
        with (self.folder / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", script, "browser", *command],
                stdout=log,
                stderr=log,
                pass_fds=(theirs_in, theirs_out),
                start_new_session=True,
            )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        page = next(each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for name in ("Page", "Runtime", "Log"):
            self.call(f"{name}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol; events that come before it are kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, address: str) -> None:
        """Go to an address; what follows waits for what it needs itself."""
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """What a script returns, which may wait; it is the body of a function."""
        answer = self.call(
            "Runtime.evaluate", expression=f"(async () => {{ {script} }})()", awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true of the page."""
        end = time.monotonic() + WAIT
        while not self._holds(condition):
            assert time.monotonic() < end, (
                f"never {condition}; the page says: {self.run('return document.body.innerText')}"
            )
            time.sleep(0.02)

    def wait_for(self, method: str, **parameters: Any) -> None:
        """Wait for an event with these parameters, and forget it."""
        while True:
            for event in self.events:
                if event["method"] == method and parameters.items() <= event["params"].items():
                    self.events.remove(event)
                    return
            self.events.append(self._read())

    def press(self, key: str, code: str = "") -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key)

    def tap(self, selector: str) -> None:
        """Tap the middle of an element with a finger."""
        script = f"const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        x, y = self.run(f"{script} return [box.x + box.width / 2, box.y + box.height / 2]")
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        """Give the page a size in CSS pixels, and a finger."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    def picture(self, path: Path) -> Path:
        """Save what the page looks like as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path

    def complaints(self) -> list[str]:
        """What the browser has complained of: errors of scripts, refusals of the page's policy, files not found."""
        self.run("return 0")
        said = []
        for event in self.events:
            if event["method"] == "Runtime.exceptionThrown":
                said.append(json.dumps(event["params"]["exceptionDetails"])[:500])
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                said.append(event["params"]["entry"]["text"])
        return said

    def _holds(self, condition: str) -> bool:
        answer = self.call("Runtime.evaluate", expression=f"Boolean({condition})", returnByValue=True)
        return answer["result"].get("value") is True

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], WAIT)
            log = self.folder / "browser.log"
            assert ready, f"the browser does not answer:\n{log.read_text(errors='replace')}"
            part = os.read(self._from, 1 << 16)
            assert part, f"the browser has ended:\n{log.read_text(errors='replace')}"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
