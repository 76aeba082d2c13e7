"""What every request has in common: a line in the log, safe headers, an end for what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from cliqa.serve.answers import BUSY
from cliqa.serve.boundary import Boundary, to_stdout
from cliqa.serve.metrics import Metrics
from tests.serve.conftest import Client, files, picture


def test_a_line_of_the_log_has_nothing_of_the_images(client: Client) -> None:
    lines: list[str] = []
    own = client(log=lines.append)
    own.post("/score?key=secret", files=files(picture(0)))
    own.get("/%22%0A{%22")
    first, second = map(json.loads, lines)
    assert (first["method"], first["path"], first["status"]) == ("POST", "/score", 200)
    assert first["bytes"] > len(picture(0))
    assert first["ms"] > 0
    assert second["status"] == 404
    assert "secret" not in lines[0]
    assert "0.png" not in lines[0]
    assert not any("\n" in line for line in lines)


def test_browsers_guess_and_keep_nothing(client: Client) -> None:
    headers = client().get("/health").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("status", sorted({200, 413, *BUSY}))
def test_every_answer_of_a_busy_service_says_when_to_come_again(status: int) -> None:
    start, _ = talk([], [], status)
    assert ((b"retry-after", b"1") in start["headers"]) == (status in BUSY)


def test_what_is_read_can_be_asked_for_without_its_body(client: Client) -> None:
    own = client()
    for path in ("/health", "/metrics", "/docs", "/openapi.json"):
        assert own.head(path).status_code == 200, path
    assert own.head("/health").headers["content-type"] == "application/json"
    assert own.head("/score").status_code == 405


def test_long_headers_are_refused_though_they_came_whole(client: Client) -> None:
    answer = client().get("/health", headers={"X-Long": "x" * 40_000})
    assert answer.status_code == 431
    assert answer.json()["detail"] == "The headers have more than 32768 bytes."


def test_the_log_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    to_stdout("{}")
    assert capsys.readouterr().out == "{}\n"


def talk(
    body: list[dict[str, Any]], headers: list[tuple[bytes, bytes]], status: int = 413
) -> list[dict[str, Any]]:
    """Return what is sent, and what is left of a body, by an application that refuses at once."""
    sent: list[dict[str, Any]] = []

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def receive() -> dict[str, Any]:
        return body.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/score", "method": "POST", "headers": headers}
    asyncio.run(Boundary(refuse, Metrics())(scope, receive, send))
    return sent


def test_the_rest_of_a_refused_body_is_thrown_away_before_the_connection_ends() -> None:
    body = [{"type": "http.request", "body": b"x", "more_body": k < 3} for k in range(4)]
    start, answer, end = talk(body, [(b"content-length", b"4")])
    assert (b"connection", b"close") in start["headers"]
    assert (answer["body"], answer["more_body"]) == (b"no", True)  # it is sent before the wait
    assert (end["body"], end["more_body"]) == (b"", False)
    assert body == []


def test_a_client_that_asked_first_sends_nothing_that_had_to_be_read() -> None:
    headers = [(b"content-length", b"4"), (b"expect", b"100-continue")]
    start, answer = talk([], headers)
    assert (b"connection", b"close") in start["headers"]
    assert answer["body"] == b"no"


def test_a_client_that_is_gone_is_not_waited_for() -> None:
    assert len(talk([{"type": "http.disconnect"}], [(b"transfer-encoding", b"chunked")])) == 3


def test_a_request_without_a_body_keeps_its_connection() -> None:
    start, _ = talk([], [])
    assert (b"connection", b"close") not in start["headers"]
