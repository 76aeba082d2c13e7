"""Tests of cliqa.app.guard, in front of an app that answers everything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from cliqa.app.guard import HEADERS, LOOPBACK, MOST_BODY, Guard

JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(body or b"yes")(scope, receive, send)


def ask(
    folder: Path, method: str, path: str, hosts: Any = (), app: Any = echo, **options: Any
) -> httpx.Response:
    """Return what a guarded app with a folder of uploads answers."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(Guard(app, folder, 100, hosts))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as http:
            return await http.request(method, path, **options)

    return asyncio.run(asked())


@pytest.mark.parametrize("path", ["/", "/config", "/assets/a.js", "/gradio_api/file=/x/a.png"])
def test_the_pages_own_addresses_are_open(tmp_path: Path, path: str) -> None:
    answer = ask(tmp_path, "GET", path)
    assert (answer.status_code, answer.text) == (200, "yes")
    assert HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/docs"), ("POST", "/config"), ("POST", "/gradio_api/run/x"), ("PUT", JOIN)],
)
def test_others_are_closed(tmp_path: Path, method: str, path: str) -> None:
    assert ask(tmp_path, method, path, json={}).status_code == 404


def test_a_body_without_files_goes_through_unchanged(tmp_path: Path) -> None:
    body = {"data": ["/etc/passwd", 1, None, {"path": None}, [{"x": "path"}]]}
    assert ask(tmp_path, "POST", JOIN, json=body).json() == body
    assert ask(tmp_path, "POST", "/gradio_api/reset").text == "yes"


def test_files_must_lie_among_the_uploads(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    good = {"data": [[{"a": {"path": str(folder / "x" / "a.png")}}]]}
    assert ask(folder, "POST", JOIN, json=good).status_code == 200
    beside = (folder, folder / ".." / "b.png", folder / "link" / "passwd")
    wrong: list[Any] = [*beside, "a.png", 3, {}, "\0"]
    for path in wrong:
        shown = path if isinstance(path, (int, dict)) else str(path)
        answer = ask(folder, "POST", JOIN, json={"data": [{"b": [{"path": shown}]}]})
        assert answer.status_code == 403, path
        assert answer.json() == {"detail": "A request may name uploaded files alone."}


def test_long_and_broken_bodies_are_refused(tmp_path: Path) -> None:
    assert ask(tmp_path, "POST", JOIN, content=b" " * (MOST_BODY + 1)).status_code == 413
    assert ask(tmp_path, "POST", JOIN, content=b"{").status_code == 400
    assert ask(tmp_path, "POST", JOIN, content=b"[" * 100_000).status_code == 400
    deep = json.dumps({"path": "/etc/passwd"}).encode()
    for _ in range(400):
        deep = b"[" + deep + b"]"
    assert ask(tmp_path, "POST", JOIN, content=deep).status_code == 403


@pytest.mark.parametrize("body", [{"data": ["x" * 65537]}, {"x" * 65537: 1}, ["x" * 65537]])
def test_a_text_that_the_log_would_repeat_is_refused(tmp_path: Path, body: Any) -> None:
    answer = ask(tmp_path, "POST", JOIN, json=body)
    assert answer.status_code == 413
    assert "65536 characters" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "status"), [("a1b2", 200), ("", 400), ("x" * 129, 400), ("a\n", 400)]
)
def test_a_session_has_a_name_that_gradio_can_keep(tmp_path: Path, name: str, status: int) -> None:
    answer = ask(tmp_path, "POST", JOIN, json={"session_hash": name, "fn_index": 0})
    assert answer.status_code == status


def test_what_fails_behind_it_is_one_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("no", 500)(scope, receive, send)
        raise KeyError("99999\nforged")

    answer = ask(tmp_path, "POST", JOIN, app=fails, json={"fn_index": 99999})
    assert answer.status_code == 500
    (record,) = caplog.records
    assert record.getMessage().startswith("a request to '/gradio_api/queue/join' failed (")
    assert record.exc_info is None


def test_an_upload_says_its_length_which_is_limited(tmp_path: Path) -> None:
    assert ask(tmp_path, "POST", UPLOAD, content=b"x" * 2000).status_code == 200
    assert ask(tmp_path, "POST", UPLOAD, content=b"x" * 2001).status_code == 413

    async def parts() -> Any:
        yield b"x"

    assert ask(tmp_path, "POST", UPLOAD, content=parts()).status_code == 413


def test_another_page_and_another_name_are_refused(tmp_path: Path) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:1"):
        answer = ask(tmp_path, "POST", JOIN, json={}, headers={"origin": origin})
        assert answer.status_code == 403, origin
    own = {"origin": "http://localhost:7860"}
    assert ask(tmp_path, "POST", JOIN, json={}, headers=own).status_code == 200
    for host, status in (("evil.example", 421), ("127.0.0.1:7", 200), ("[::1]:7860", 200)):
        assert ask(tmp_path, "GET", "/", LOOPBACK, headers={"host": host}).status_code == status


def test_web_sockets_are_not_answered(tmp_path: Path) -> None:
    guard = Guard(echo, tmp_path, 100)

    async def never(*_: Any) -> Any:
        raise AssertionError("it was answered")

    asyncio.run(guard({"type": "websocket", "path": "/"}, never, never))
