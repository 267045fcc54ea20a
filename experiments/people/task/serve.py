"""`memory serve`: the page of a task for browsers on this machine, and their answers into its folder.

Only this machine is answered, and only pages of this server may send answers: a request must name this server as its
host, so that no page of another reaches it under a name of its own (DNS rebinding), and answers must come from it.
"""

from __future__ import annotations

import json
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from experiments.people.options import ServeOptions
from experiments.people.task.collecting import RESPONSES, Collector, ConflictError, RefusedError
from storage.lock import FolderLock
from storage.ports import port_error
from storage.terminal import visible

HOST = "127.0.0.1"
LARGEST_BODY = 32_000_000
"""Bytes of what a page sends, at most: 10,000 answers take 3 million."""
PATIENCE = 30.0
"""Seconds after which a browser that sends nothing is no longer waited for."""
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".jpg": "image/jpeg",
    ".png": "image/png",
}
"""What browsers are given, by suffix; tables and answers they are not."""
COLLECTOR = "/collector.js"


def serve_task(options: ServeOptions) -> None:
    """Show the task in `options.folder` and collect answers until the process is stopped.

    Raises:
        FolderLockError: another process collects answers in the folder.
        OSError: the port is taken.
        ValueError: the folder is damaged.
    """
    with FolderLock(options.folder / RESPONSES), make_server(options.folder, options.port) as server:
        print(f"open {server.address} in a browser; answers go into {visible(options.folder / RESPONSES)}")
        print("for a participant of your own choice: ?participant=CODE&version=as_given; Ctrl-C ends this", flush=True)
        server.serve_forever()


class TaskServer(ThreadingHTTPServer):
    """Gives the files of a task, and keeps what its pages send.

    Args:
        folder: of the task.
        port: on this machine; 0 takes one that is free.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # where it would let two programs have the port

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder.resolve()
        self.collector = Collector(folder)
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in a line what went wrong, but for browsers that have left."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"a request failed: {visible(error)}", file=sys.stderr, flush=True)

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """How this server may be called."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"


def make_server(folder: Path, port: int) -> TaskServer:
    """Return a server that listens.

    Raises:
        OSError: the port is taken, or not for this user.
        ValueError: the folder is damaged.
    """
    try:
        return TaskServer(folder, port)
    except OSError as error:
        raise port_error(port, error) from error


class _Handler(BaseHTTPRequestHandler):
    server: TaskServer
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"
    server_version = "secondsight"
    sys_version = ""

    def do_GET(self) -> None:
        """Give a file."""
        if self._is_asked_as_itself():
            self._give_file()

    def do_HEAD(self) -> None:
        """Say what a file is."""
        self.do_GET()

    def do_POST(self) -> None:
        """Keep answers."""
        # What is not read would be taken for the next request.
        self.close_connection = True
        if self._is_asked_as_itself() and self._may_send():
            body = self._read_body()
            if body is not None:
                self._keep(body)

    def log_message(self, format: str, *values: Any) -> None:
        """Say nothing: what matters is said when answers are kept."""

    def _is_asked_as_itself(self) -> bool:
        if self.headers.get("Host") in self.server.hosts:
            return True
        return self._refuse(HTTPStatus.FORBIDDEN, f"this server is called {self.server.hosts[0]}")

    def _may_send(self) -> bool:
        if urlsplit(self.path).path != f"/{RESPONSES}":
            return self._refuse(HTTPStatus.NOT_FOUND, f"answers go to /{RESPONSES}")
        if self.headers.get("Origin") not in [f"http://{host}" for host in self.server.hosts]:
            return self._refuse(HTTPStatus.FORBIDDEN, "answers are taken from pages of this server only")
        if self.headers.get_content_type() != "application/json":
            return self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "answers must be application/json")
        return True

    def _read_body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the length of the answers must be said")
            return None
        if len(length) > 12 or int(length) > LARGEST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"answers may have {LARGEST_BODY:,} bytes")
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self._refuse(HTTPStatus.BAD_REQUEST, "the answers are cut")
            return None
        return body

    def _keep(self, body: bytes) -> None:
        try:
            kept = self.server.collector.keep(body)
        except ConflictError as error:
            self._refuse(HTTPStatus.CONFLICT, str(error))
        except RefusedError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (OSError, ValueError) as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"the answers could not be kept: {error}")
        else:
            self._answer(HTTPStatus.OK, {"kept": kept})

    def _give_file(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == COLLECTOR:
            text = f'window.Secondsight ??= {{}};\nSecondsight.collector = "{RESPONSES}";\n'
            self._send(HTTPStatus.OK, text.encode("ascii"), KINDS[".js"])
            return
        file = self._find_file(path)
        if file is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such file")
            return
        self._send(HTTPStatus.OK, file.read_bytes(), KINDS[file.suffix])

    def _find_file(self, path: str) -> Path | None:
        """Return the file that a path means; None for whatever is not shown, or lies elsewhere."""
        parts = PurePosixPath(path.removeprefix("/") or "index.html").parts
        if RESPONSES in parts or any(part.startswith(".") or set(part) & set("\\/:\0") for part in parts):
            return None
        file = self.server.folder.joinpath(*parts).resolve()
        inside = file.is_relative_to(self.server.folder) and file.is_file()
        return file if inside and file.suffix in KINDS else None

    def _refuse(self, status: HTTPStatus, why: str) -> bool:
        self._answer(status, {"error": why})
        return False

    def _answer(self, status: HTTPStatus, said: dict[str, Any]) -> None:
        if self.command == "POST":
            what = f"answers refused: {said['error']}" if "error" in said else f"answers kept: {said['kept']:,}"
            print(visible(what), file=sys.stderr, flush=True)
        self._send(status, json.dumps(said).encode("ascii"), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "max-age=3600" if kind.startswith("image/") else "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
