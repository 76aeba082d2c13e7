"""Around the application: what every request has in common.

It counts and logs requests, answers clients that still send while they are refused, tells when to
come again, answers ``HEAD`` wherever it answers ``GET``, and keeps browsers from guessing what an
answer is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import datetime, timezone
from typing import Any

from cliqa.serve.answers import BUSY, PROBLEM_JSON, RETRY_AFTER, problem
from cliqa.serve.metrics import Metrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PATHS = ("/score", "/health", "/metrics", "/docs", "/openapi.json")
"""Paths that are counted by their names; others are one, so that clients make no new numbers."""

HEADER_BYTES = 2**15
"""The longest request line with its headers."""

LINGER = 2.0
LINGER_BYTES = 2**26
"""How long, and how much, the rest of a refused body is read and thrown away: a connection that is
closed while its client sends may lose the answer."""

LATER = (RETRY_AFTER[0].encode(), RETRY_AFTER[1].encode())

SAFE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Boundary:
    """An application with what all of its requests have in common.

    Args:
        app: The application.
        metrics: Counts the requests.
        log: Gets a line of JSON for every request; None for no log.
    """

    def __init__(
        self, app: Application, metrics: Metrics, log: Callable[[str], None] | None = None
    ) -> None:
        self._app, self._metrics, self._log = app, metrics, log

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks for."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        started = time.perf_counter()
        long = sum(len(key) + len(value) + 4 for key, value in scope["headers"]) > HEADER_BYTES
        app = _headers_too_large if long else self._app
        try:
            # the protocol below has the method too, and leaves the body of the answer out
            seen = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await app(seen, exchange.receive, exchange.send)
        finally:
            seconds = time.perf_counter() - started
            path = scope["path"] if scope["path"] in PATHS else "other"
            self._metrics.request(path, exchange.status, seconds)
            if self._log is not None:
                self._log(_line(scope, exchange, seconds))


async def _headers_too_large(_: Mapping[str, Any], __: Receive, send: Send) -> None:
    """Refuse a request whose headers came whole, so that HTTP's own limit has not met them."""
    content = problem(431, f"The headers have more than {HEADER_BYTES} bytes.")
    kind = [(b"content-type", PROBLEM_JSON.encode())]
    length = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 431, "headers": kind + length})
    await send({"type": "http.response.body", "body": content})


class _Exchange:
    """A request and its answer.

    Attributes:
        status: Of the answer; 500 until there is one.
        size: Bytes of the body that were read.
    """

    def __init__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        headers = dict(scope["headers"])
        has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        self._sends = has_body  # the client may still be sending
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self.status, self.size = 500, 0

    async def receive(self) -> Message:
        """Return the next message, and note what is left."""
        message = await self._receive()
        self._waits = False
        if message["type"] != "http.request":
            self._sends = False
        else:
            self._sends = bool(message.get("more_body", False))
            self.size += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; after the last one, take what the client still sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = [(b"connection", b"close")] if self._sends else []
            more += [LATER] if self.status in BUSY else []
            message["headers"] = [*message.get("headers", []), *SAFE, *more]
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (is_last and self._sends) or self._waits:
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._discard(), LINGER)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self) -> None:
        """Read the rest of the body."""
        end = self.size + LINGER_BYTES
        while self._sends and self.size < end:
            await self.receive()


def _line(scope: Mapping[str, Any], exchange: _Exchange, seconds: float) -> str:
    """Return a request in a line of JSON: no names of files, nothing of its content."""
    client = scope.get("client")
    return json.dumps(
        {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "client": client[0] if client else None,
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": exchange.status,
            "bytes": exchange.size,
            "ms": round(1000 * seconds, 1),
        }
    )


def to_stdout(line: str) -> None:
    """Write a line of the access log, in one piece, as several processes share the file."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
