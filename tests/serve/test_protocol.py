"""Connections of clients that mean no good, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from cliqa.serve import protocol
from cliqa.serve.protocol import GuardedProtocol

Talk = Callable[[int], Awaitable[Any]]


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def during(talk: Talk) -> Any:
    """Return what a client gets from a service in this process."""

    async def run() -> Any:
        config = uvicorn.Config(
            _hello, port=0, http=GuardedProtocol, lifespan="off", ws="none", log_config=None
        )
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            return await asyncio.wait_for(talk(port), 10)
        finally:
            await server.shutdown()

    return asyncio.run(run())


async def told(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send bytes, part by part, and return all that comes back up to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(reader.read())
    for part in parts:
        if not reading.done():
            writer.write(part)
            await asyncio.sleep(pause)
    found = await reading
    writer.close()
    return found


def problem_in(answer: bytes) -> dict[str, Any]:
    """Return the problem in an answer."""
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"Connection: close" in head
    found: dict[str, Any] = json.loads(content)
    assert head.startswith(f"HTTP/1.1 {found['status']} ".encode())
    return found


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"\x00\x01\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_no_http_is_a_problem(nonsense: bytes) -> None:
    assert problem_in(during(lambda port: told(port, nonsense)))["status"] == 400


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS", 0.1)
    assert problem_in(during(told))["status"] == 408


def test_headers_that_come_slowly_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS", 0.15)
    parts = [b"GET / HTTP/1.1\r\n", *(b"X: y\r\n" for _ in range(20))]
    assert problem_in(during(lambda port: told(port, *parts, pause=0.02)))["status"] == 408


def test_a_second_request_has_time_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADERS", 0.3)
    whole = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = during(lambda port: told(port, whole, last[:5], last[5:], pause=0.05))
    assert answer.count(b"200 OK") == 2


def test_there_are_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS", 1)

    async def talk(port: int) -> bytes:
        _, first = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.02)
        found = await told(port)
        first.close()
        return found

    answer = during(talk)
    assert problem_in(answer)["status"] == 503
    assert b"\r\nretry-after: 1\r\n" in answer
