"""What Chromium shows of a video, played on a page of a server of our own, and how it lays out a page."""

import json
import os
import shutil
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
KINDS = {".html": "text/html; charset=utf-8", ".png": "image/png", ".mp4": "video/mp4", ".gif": "image/gif"}
ELSEWHERE = "elsewhere.example"
"""A host of whose files a page may have none."""
REQUIRED = "SECONDSIGHT_REQUIRE_BROWSER"
"""Environment variable that makes a missing browser a failure: set where all tests must run."""
PATIENCE = 200.0
"""Seconds after which a browser that has not answered is taken to hang."""

PAGE = b"""<!doctype html><meta charset="utf-8"><video muted></video><script>
const video = document.querySelector("video");
const answer = (path, body) => fetch(path, {method: "POST", body});
video.onerror = () => answer("/error", `${video.error.code} ${video.error.message}`);
video.onended = () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  answer(`/pixels/${canvas.height}/${canvas.width}`, pixels);
};
video.src = "/video.mp4";
video.play().catch((error) => answer("/error", String(error)));
</script>"""

FRAME = """<!doctype html><meta charset="utf-8"><body style="margin: 0">
<iframe src="/page.html" width="{width}" height="800" style="border: 0"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument;
  let answer;
  try {{ answer = {{value: (() => {{ {script} }})()}}; }} catch (error) {{ answer = {{error: String(error)}}; }}
  fetch("/json", {{method: "POST", body: JSON.stringify(answer)}});
}};
</script>"""
"""A page in a frame, because a window of Chromium cannot be as narrow as a telephone."""


def find_browser() -> str:
    """The program to run; without one the test is skipped, or fails where `REQUIRED` is set."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None and os.environ.get(REQUIRED):
        pytest.fail(f"none of {', '.join(NAMES)} is installed, and {REQUIRED} is set")
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed (Debian: apt-get install chromium)")
    return found


def last_frame(video: Path, folder: Path) -> np.ndarray:
    """(H, W, 3) uint8: what a browser shows of an MP4 that it has played to its end.

    Args:
        video: to play.
        folder: for the browser's profile and its log, `browser.log`.
    """
    files = {"/": ("text/html", PAGE), "/video.mp4": ("video/mp4", video.read_bytes())}
    path, answer = _answer(files, folder)
    kind, *size = path.strip("/").split("/")
    assert kind == "pixels", answer.decode()
    return np.frombuffer(answer, np.uint8).reshape(*map(int, size), 4)[..., :3]


def laid_out(page: Path, width: int, script: str, folder: Path) -> Any:
    """What a script returns of a page that is so many pixels wide; in it the document is called `page`.

    Args:
        page: an HTML file that needs no other.
        width: of the page, in CSS pixels.
        script: JavaScript, the body of a function that returns what JSON can say.
        folder: for the browser's profile and its log, `browser.log`.
    """
    frame = FRAME.format(width=width, script=script).encode()
    files = {"/": ("text/html", frame), "/page.html": ("text/html; charset=utf-8", page.read_bytes())}
    _, answer = _answer(files, folder)
    said = json.loads(answer)
    assert "error" not in said, said["error"]
    return said["value"]


def opened(files: dict[str, Path], page: str, script: str, folder: Path) -> tuple[Any, list[str]]:
    """What a script returns of a page of several files, and the addresses that were asked for besides.

    The browser takes `ELSEWHERE` for this server, so that what a page would load from there is noticed.

    Args:
        files: by path on the server, `/index.html` and so on; the page is one of them.
        page: its path.
        script: JavaScript, the body of a function that returns what JSON can say; in it the document is called `page`.
        folder: for the browser's profile and its log, `browser.log`.
    """
    served = {path: (KINDS[file.suffix], file.read_bytes()) for path, file in files.items()}
    frame = FRAME.replace("/page.html", page).format(width=1000, script=script).encode()
    asked: list[str] = []
    _, answer = _answer({"/": ("text/html", frame), **served}, folder, asked)
    said = json.loads(answer)
    assert "error" not in said, said["error"]
    return said["value"], [address for address in asked if address.split("|")[1] not in ("/", "/favicon.ico", *files)]


def _answer(files: dict[str, tuple[str, bytes]], folder: Path, asked: list[str] | None = None) -> tuple[str, bytes]:
    """The path and the content of what the page at `/` posts, opened in a browser of its own.

    Where `asked` is a list, `host|path` of all that was asked for is added to it, and `ELSEWHERE` is this server.
    """
    browser = find_browser()
    with _Server(files) as server, (folder / "browser.log").open("wb") as log:
        port = server.server_port
        hosts = f"MAP {ELSEWHERE} 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        command = [browser, *flags(folder / "profile"), f"--host-resolver-rules={hosts}", f"http://127.0.0.1:{port}/"]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            assert server.answered.wait(PATIENCE), f"no answer:\n{(folder / 'browser.log').read_text(errors='replace')}"
        finally:
            # The browser's own processes are of the group that it leads.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if asked is not None:
        asked += server.asked
    return server.answer_path, server.answer


def flags(profile: Path) -> list[str]:
    return [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-default-browser-check",
        "--autoplay-policy=no-user-gesture-required",
        "--force-color-profile=srgb",
        f"--user-data-dir={profile}",
    ]


class _Server(ThreadingHTTPServer):
    """Gives files by path, and keeps what the page answers."""

    def __init__(self, files: dict[str, tuple[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.asked: list[str] = []
        self.answered = threading.Event()
        self.answer_path = ""
        self.answer = b""

    def __enter__(self) -> "_Server":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.headers['Host']}|{self.path}")
        kind, content = self.server.files.get(self.path, ("text/plain", b""))
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.server.answer = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answer_path = self.path
        self.send_response(204)
        self.end_headers()
        self.server.answered.set()

    def log_message(self, *_: object) -> None:
        pass
