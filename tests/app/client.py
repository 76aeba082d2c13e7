"""Requests as a browser writes them, and a server as a user starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from tests.forks import Fork

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 90.0
"""Seconds for which a server is waited for."""


@dataclass
class Client:
    """One session of a browser, request by request.

    Attributes:
        url: The server's address.
        session: The session's name.
    """

    url: str
    session: str = "session-1"
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    @property
    def config(self) -> dict[str, Any]:
        """What the page consists of."""
        return config_of(self.url)

    def component(self, elem_id: str) -> int:
        """Return the number of a component."""
        found = [c["id"] for c in self.config["components"] if c["props"].get("elem_id") == elem_id]
        assert len(found) == 1, (elem_id, found)
        return int(found[0])

    def function(self, elem_id: str, event: str, place: int = 0) -> dict[str, Any]:
        """Return a function that an event of a component calls."""
        target = [self.component(elem_id), event]
        found = [d for d in self.config["dependencies"] if target in d["targets"]]
        return dict(found[place])

    def call(
        self, function: dict[str, Any], data: Sequence[Any], event: Any = None
    ) -> dict[str, Any]:
        """Call a function as the page does; return its last message, or the refusal."""
        body = {"data": list(data), "fn_index": function["id"], "session_hash": self.session}
        body |= {"event_data": event, "trigger_id": function["targets"][0][0]}
        joined = self.http.post(f"{self.url}/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return {"status": joined.status_code, **joined.json()}
        address = f"{self.url}/gradio_api/queue/data"
        with self.http.stream("GET", address, params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {}
                if message.get("msg") == "process_completed":
                    return {"success": message["success"], **message["output"]}
        raise AssertionError("the server ended the stream")

    def upload(self, *files: Path, names: Sequence[str] = ()) -> list[str]:
        """Upload files; return where the server says that they lie."""
        parts = [
            ("files", (name, file.read_bytes()))
            for file, name in zip(files, names or [f.name for f in files], strict=True)
        ]
        answer = self.http.post(f"{self.url}/gradio_api/upload", files=parts)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def score(self, model: object, scale: object, files: object, folder: object = "") -> Any:
        """Score files as the tab does."""
        return self.call(self.function("score-go", "click"), [model, scale, files, folder])


@cache
def config_of(url: str) -> dict[str, Any]:
    """Return what a server's page consists of."""
    return dict(httpx.get(f"{url}/config", timeout=60).json())


def file_data(path: str) -> dict[str, Any]:
    """Return how a request names a file."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@contextmanager
def started(arguments: Sequence[str], log: Path, anew: bool = False) -> Iterator[Any]:
    """Run ``tools/app.py`` within a block; give its process.

    Args:
        arguments: Its command line.
        log: The file of its output.
        anew: In a new Python, as a user does; else in a copy of this process, seconds faster.
    """
    with log.open("wb") as out:
        if anew or not hasattr(os, "fork"):
            command = [sys.executable, "tools/app.py", *arguments]
            process: Any = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        else:
            import gradio  # noqa: F401, PLC0415  for the copy

            script = [str(ROOT / "tools" / "app.py"), *arguments]
            process = Fork(script, out.fileno(), out.fileno(), cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an app in a thread of this process within a block; give its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not (server.started and server.servers):
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def address_in(log: Path, process: Any) -> str:
    """Return the address that a server tells, once it answers."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        text = log.read_text()
        if "http://" in text:
            url = "http://" + text.split("http://")[1].split()[0]
            try:
                httpx.get(f"{url}/config", timeout=30)
            except httpx.HTTPError:
                continue
            return url
        time.sleep(0.1)
    raise AssertionError(f"no server: {log.read_text()}")
