"""A small Hub on this machine: repositories in memory, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse


@dataclass
class Repository:
    """Files by commit, the newest last."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """The newest commit."""
        return next(reversed(self.commits), "0" * 40)

    def files(self, revision: str) -> dict[str, bytes] | None:
        """Return the files of a revision, None where there is no such revision."""
        return self.commits.get(self.head if revision == "main" else revision)

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit that changes some files."""
        whole = {**self.commits.get(self.head, {}), **files}
        name = hashlib.sha1(repr(sorted(whole.items())).encode()).hexdigest()  # noqa: S324
        self.commits[name] = whole
        return name


class SmallHub:
    """The server; `fail` is the status of every answer, `token` the only one that may write."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.fail: int | None = None
        self.break_commits = False
        self.token = "hf_" + "t" * 24
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:  # noqa: N802
                hub.get(self)

            do_HEAD = do_GET  # noqa: N815

            def do_POST(self) -> None:  # noqa: N802
                hub.post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a question, or send a file."""
        path = self._begin(request)
        if path is None:
            return
        if path == "/api/whoami-v2":
            self._json(request, {"name": "me", "type": "user", "orgs": [], "auth": {}})
        elif path.startswith("/api/models/"):
            self._info(request, path.removeprefix("/api/models/"))
        else:
            name, _, rest = path.strip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            self._file(request, name, revision, file)

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """Make a repository, or a commit."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = self._begin(request)
        if path is None:
            return
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self._error(request, 401, "Invalid credentials")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if not name.startswith("me/"):
                self._error(request, 403, "no rights in this namespace")
            elif name in self.repositories:
                self._error(request, 409, "exists", url=f"{self.url}/{name}")
            else:
                private = asked.get("private") or asked.get("visibility") == "private"
                self.repositories[name] = Repository(bool(private))
                self._json(request, {"url": f"{self.url}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self._json(request, {"errors": [], "warnings": []})
        elif "/preupload/" in path:
            modes = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._json(request, {"files": modes})
        elif self.break_commits:
            request.close_connection = True
            request.connection.close()
        else:
            name = path.removeprefix("/api/models/").partition("/commit/")[0]
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            files = {
                one["value"]["path"]: base64.b64decode(one["value"]["content"])
                for one in lines
                if one["key"] == "file"
            }
            oid = self.repositories[name].commit(files)
            url = f"{self.url}/{name}/commit/{oid}"
            self._json(request, {"commitUrl": url, "commitOid": oid, "pullRequestUrl": None})

    def _begin(self, request: BaseHTTPRequestHandler) -> str | None:
        """Return the path of a request; None if it has been answered."""
        path = unquote(urlparse(request.path).path)
        self.requests.append(f"{request.command} {path}")
        if self.fail is not None:
            self._error(request, self.fail, "refused by the test")
            return None
        return path

    def _info(self, request: BaseHTTPRequestHandler, rest: str) -> None:
        """Tell of a repository, or list its files."""
        parts = rest.split("/")
        name, kind = "/".join(parts[:2]), parts[2] if len(parts) > 2 else ""
        found = self.repositories.get(name)
        if found is None:
            self._error(request, 401, "Repository not found", code="RepoNotFound")
            return
        if found.gated and kind:
            self._error(request, 403, "Access is restricted", code="GatedRepo")
            return
        revision = parts[3] if kind else "main"
        files = found.files(revision)
        if files is None and kind:
            self._error(request, 404, "Revision not found", code="RevisionNotFound")
        elif kind == "tree":
            listed = [
                {"type": "file", "path": path, "size": len(one), "oid": _oid(one)}
                for path, one in (files or {}).items()
            ]
            self._json(request, listed)
        else:
            sha = found.head if revision == "main" else revision
            siblings = [{"rfilename": path} for path in files or {}]
            about = {"id": name, "sha": sha, "private": found.private, "siblings": siblings}
            self._json(request, {**about, "tags": [], "downloads": 0, "likes": 0})

    def _file(self, request: BaseHTTPRequestHandler, name: str, revision: str, file: str) -> None:
        """Send a file."""
        found = self.repositories.get(name)
        content = (found.files(revision) or {}).get(file) if found else None
        if found is None or content is None:
            self._error(request, 404, "Entry not found", code="EntryNotFound")
            return
        request.send_response(200)
        request.send_header("ETag", f'"{_oid(content)}"')
        request.send_header("X-Repo-Commit", found.head if revision == "main" else revision)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(content)

    def _json(self, request: BaseHTTPRequestHandler, value: object, status: int = 200) -> None:
        content = json.dumps(value).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)

    def _error(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        text: str,
        code: str | None = None,
        **more: str,
    ) -> None:
        content = json.dumps({"error": text, **more}).encode()
        request.send_response(status)
        if code:
            request.send_header("X-Error-Code", code)
        request.send_header("X-Error-Message", text)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)


def _oid(content: bytes) -> str:
    """Return the name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324
