"""A hub on this machine: the requests with which models are made, pushed and loaded, answered from memory."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"


@dataclass
class Repository:
    """What was pushed to one name."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Commit to files, oldest first."""

    def commit(self, files: dict[str, bytes]) -> str:
        """Add `files` to those of the newest commit; return the new one's hash."""
        before = list(self.commits.values())[-1] if self.commits else {}
        name = hashlib.sha1(str(len(self.commits)).encode()).hexdigest()
        self.commits[name] = before | files
        return name

    def find(self, revision: str | None) -> str | None:
        """Return the commit that a revision means."""
        if revision in (None, "main"):
            return next(reversed(self.commits), None)
        return revision if revision in self.commits else None


class LocalHub(ThreadingHTTPServer):
    """The repositories and every request that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: LocalHub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(f"{self.command} {path}")
        for pattern, answer in (
            (rf"/api/models/{REPO}(/revision/(?P<revision>[^/]+))?", self.tell),
            (rf"/api/models/{REPO}/tree/(?P<revision>[^/]+)", self.list_files),
            (rf"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", self.give),
        ):
            if parts := re.fullmatch(pattern, path):
                repository = self.server.repositories.get(parts["repo"])
                if repository is None:
                    return self.fail("RepoNotFound")
                commit = repository.find(parts["revision"])
                if commit is None:
                    return self.fail("RevisionNotFound")
                return answer(parts, repository, commit)
        return self.fail("EntryNotFound")

    do_HEAD = do_GET  # noqa: N815

    def tell(self, parts: re.Match[str], repository: Repository, commit: str) -> None:
        siblings = [{"rfilename": name} for name in repository.commits[commit]]
        self.reply({"id": parts["repo"], "sha": commit, "private": repository.private, "siblings": siblings})

    def list_files(self, parts: re.Match[str], repository: Repository, commit: str) -> None:
        files = repository.commits[commit].items()
        self.reply([{"type": "file", "path": n, "size": len(data), "oid": oid(data)} for n, data in files])

    def give(self, parts: re.Match[str], repository: Repository, commit: str) -> None:
        data = repository.commits[commit][parts["name"]]
        self.reply(data, headers={"ETag": f'"{oid(data)}"', "X-Repo-Commit": commit})

    def do_POST(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer hf_right":
            return self.reply({"error": "Invalid username or password."}, 401)
        if self.path == "/api/validate-yaml":
            return self.reply({"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            return self.create(json.loads(body))
        parts = re.fullmatch(rf"/api/models/{REPO}/(?P<what>preupload|commit)/main", self.path.partition("?")[0])
        if parts is None:
            return self.fail("EntryNotFound")
        if parts["what"] == "commit":
            return self.commit(parts["repo"], body)
        files = [{"path": file["path"], "uploadMode": "regular"} for file in json.loads(body)["files"]]
        return self.reply({"files": [file | {"shouldIgnore": False} for file in files]})

    def create(self, wanted: dict[str, Any]) -> None:
        repo = f"{wanted['organization']}/{wanted['name']}"
        status = 409 if repo in self.server.repositories else 200
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        made = self.server.repositories.setdefault(repo, Repository(private))
        if not made.commits:
            made.commit({".gitattributes": b""})
        self.reply({"url": f"{self.server.url}/{repo}"}, status)

    def commit(self, repo: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        files = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
        name = self.server.repositories[repo].commit({path: base64.b64decode(data) for path, data in files.items()})
        self.reply({"commitUrl": f"{self.server.url}/{repo}/commit/{name}", "commitOid": name})

    def fail(self, code: str) -> None:
        self.reply({"error": code}, 404, {"X-Error-Code": code})

    def reply(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: `LocalHub.requests` has it."""


def oid(data: bytes) -> str:
    """Return the hash that git names a file's content by."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@contextmanager
def serve_hub() -> Iterator[LocalHub]:
    """Run a hub in the background."""
    with LocalHub() as hub:
        thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
