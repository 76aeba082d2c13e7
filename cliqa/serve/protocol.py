"""HTTP/1.1 over a connection, with what uvicorn's own lacks for clients that mean no good.

A request line with its headers must arrive in time, connections are counted, and a request that is
no HTTP gets a problem like any other.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from cliqa.serve.answers import BUSY, PROBLEM_JSON, RETRY_AFTER, problem

HEADERS = 10.0
"""Seconds in which a request's headers must arrive, however slowly."""

CONNECTIONS = 1024
"""Connections that a process holds; a newer one is told so and closed."""


class GuardedProtocol(H11Protocol):
    """A connection."""

    _headers_end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.write(_whole(503, "The service holds as many connections as it may."))
            transport.close()
            return
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a request that has begun may not take for ever."""
        super().data_received(data)
        if self.transport.is_closing() or not (self.cycle is None or self.cycle.response_complete):
            self._expect_nothing()
        elif self._headers_end is None:
            self._expect_headers()

    def on_response_complete(self) -> None:
        """Get ready for another request."""
        self._expect_nothing()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_whole(400, msg))
        self.transport.close()

    def _expect_headers(self) -> None:
        self._headers_end = self.loop.call_later(HEADERS, self._too_slow)

    def _expect_nothing(self) -> None:
        if self._headers_end is not None:
            self._headers_end.cancel()
            self._headers_end = None

    def _too_slow(self) -> None:
        """Close a connection whose request does not come."""
        if not self.transport.is_closing():
            self.transport.write(_whole(408, f"No request within {HEADERS:g} s."))
            self.transport.close()


def _whole(status: int, detail: str) -> bytes:
    """Return a whole answer with a problem, as it is sent."""
    content = problem(status, detail)
    later = f"{': '.join(RETRY_AFTER)}\r\n" if status in BUSY else ""
    return (
        f"HTTP/1.1 {status} Refused\r\nContent-Type: {PROBLEM_JSON}\r\n{later}"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    ).encode() + content
