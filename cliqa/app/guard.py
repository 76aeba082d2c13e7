"""What the server lets in: the addresses that the page needs, and files that were uploaded.

gradio's server has more doors than this page needs, and whoever writes a request by hand can name
any path in place of an upload's. This stands in front of it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cliqa.utils.errors import first_line
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

API = "/gradio_api"

OPEN_GET = (
    *("/static/", "/assets/", "/svelte/", f"{API}/heartbeat/", f"{API}/file="),
    *(f"{API}/queue/data", f"{API}/upload_progress", f"{API}/startup-events"),
)
"""How the addresses that are read begin."""

OPEN_GET_WHOLE = frozenset({"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json"}) | {
    *("/robots.txt", f"{API}/theme.css", f"{API}/info", f"{API}/app_id"),
}

UPLOAD = f"{API}/upload"
OPEN_POST = frozenset({UPLOAD, *(f"{API}/{name}" for name in ("queue/join", "cancel", "reset"))})
"""The addresses that take something."""

MOST_BODY = 2 * 2**20
"""Bytes of a request that is no upload."""

MOST_TEXT = 2**16
"""Characters of a text in a request: gradio repeats a value that it refuses in its log, and keeps
it for a session that may never ask for the answer."""

SESSION = re.compile(r"[!-~]{1,128}")
"""The name that a page gives its session; gradio keeps it, and fails over an empty one later."""

AT_ONCE = 20
"""Largest files in one upload."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' "
    "data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri "
    "'self'; form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""The browser fetches from this server alone, whatever a page says."""


class Guard:
    """Answers what is not allowed itself, and hands on the rest.

    Args:
        app: The app behind it.
        uploads: The folder of uploads.
        max_upload_bytes: The largest file.
        hosts: Names by which the server may be called; empty for any. A server that only this
            machine can reach must not answer to the name of a stranger's web page.
    """

    def __init__(
        self, app: ASGIApp, uploads: Path, max_upload_bytes: int, hosts: Collection[str] = ()
    ) -> None:
        self._app, self._uploads = app, uploads.resolve()
        self._most, self._hosts = AT_ONCE * max_upload_bytes, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a web socket, which the page does not need
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is None and scope["method"] == "POST" and scope["path"] != UPLOAD:
            body, refusal = await self._read(receive)
            receive = _again(body, receive)
        if refusal is not None:
            status, text = refusal
            await JSONResponse({"detail": text}, status)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, _with_headers(send))
        except Exception as error:  # noqa: BLE001  gradio's, over what no page sends; it answered 500
            path = ascii(scope["path"])[:80]
            logger.warning("a request to %s failed (%s)", path, first_line(error)[:200])

    def _refusal(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return why a request is refused before its body is read."""
        host = headers.get("host", "")
        if self._hosts and _name_of(host) not in self._hosts:
            return 421, "This server is not called so. Start it with --allow-host NAME."
        if not _is_open(method, path):
            return 404, "There is nothing here."
        origin = headers.get("origin")
        if method == "POST" and origin is not None and urlsplit(origin).netloc != host:
            return 403, "Another web page may not use this server."
        if path == UPLOAD and not 0 < _length(headers) <= self._most:
            return 413, f"Upload at most {self._most // 2**20} MB at once."
        return None

    async def _read(self, receive: Receive) -> tuple[bytes, tuple[int, str] | None]:
        """Return a request's body, and why it is refused."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return body, (400, "The request ended early.")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MOST_BODY:
                return b"", (413, f"A request has at most {MOST_BODY // 2**20} MB.")
        try:
            content = json.loads(body or b"null")
        except (ValueError, RecursionError):
            return b"", (400, "The request is no JSON.")
        if any(isinstance(part, str) and len(part) > MOST_TEXT for part in _parts(content)):
            return b"", (413, f"A text in a request has at most {MOST_TEXT} characters.")
        session = content.get("session_hash") if isinstance(content, dict) else None
        if session is not None and not SESSION.fullmatch(str(session)):
            return b"", (400, "The request's session_hash must be a word of 1 to 128 letters.")
        if not all(map(self._is_upload, _paths(content))):
            return b"", (403, "A request may name uploaded files alone.")
        return body, None

    def _is_upload(self, path: object) -> bool:
        """Return whether a file that a request names was uploaded."""
        if not isinstance(path, str) or not os.path.isabs(path) or "\0" in path:
            return False
        real = Path(os.path.realpath(path))
        return real != self._uploads and real.is_relative_to(self._uploads)


def _paths(content: Any) -> Iterator[object]:  # noqa: ANN401  any JSON
    """Yield the files that a request names: what stands under the key ``path`` at any depth."""
    for part in _parts(content):
        if isinstance(part, dict) and part.get("path") is not None:
            yield part["path"]


def _parts(content: Any) -> Iterator[object]:  # noqa: ANN401  any JSON
    """Yield a value and all that it holds, the keys of dicts too."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict):
            waiting += [*part, *part.values()]
        elif isinstance(part, list):
            waiting += part


def _is_open(method: str, path: str) -> bool:
    """Return whether the page needs an address."""
    if method == "POST":
        return path in OPEN_POST
    return method in ("GET", "HEAD") and (path in OPEN_GET_WHOLE or path.startswith(OPEN_GET))


def _name_of(host: str) -> str:
    """Return the name in a ``Host`` header.

    >>> _name_of("localhost:7860"), _name_of("[::1]:7860"), _name_of("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    return urlsplit(f"//{host}").hostname or ""


def _length(headers: dict[str, str]) -> int:
    """Return how long a body is said to be, 0 where that is not told."""
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 18 else 0


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a function that gives a body that has been read, then what follows it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    """Return a function that sends an answer with `HEADERS`."""
    own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def send_all(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await send(message)

    return send_all
