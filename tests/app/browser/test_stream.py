"""A page whose connection for answers ends while another answer is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cliqa.app.parts import on
from cliqa.app.server import make_app
from cliqa.app.settings import Settings
from tests.app.browser.session import Session
from tests.app.client import served

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Open = Callable[..., Session]

LATE = 1.5
"""Seconds by which a connection's end reaches the page too late."""


def late_ends(app: ASGIApp) -> ASGIApp:
    """Return an app whose last message of a connection for answers takes its time."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def slow(message: Message) -> None:
            if b"close_stream" in message.get("body", b""):
                await asyncio.sleep(LATE)
            await send(message)

        await app(scope, receive, slow)

    return served


@pytest.fixture
def ticks() -> list[float]:
    """Return when the timer of `page_of_two` asked."""
    return []


@pytest.fixture
def page_of_two(
    ticks: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the address of a page with two buttons, which write their answers, and a timer."""

    def build(settings: Settings) -> gr.Blocks:
        with gr.Blocks() as page:
            for name in ("first", "second"):
                text = gr.HTML(elem_id=f"{name}-text")
                button = gr.Button(name, elem_id=name)
                on(button.click, lambda name=name: f"{name} answered", [], [text])
            on(gr.Timer(1).tick, lambda: ticks.append(time.monotonic()), [], [])
        return page

    monkeypatch.setattr("cliqa.app.server.build_page", build)
    with served(late_ends(make_app(Settings(tmp_path), tmp_path))) as address:
        yield address


def test_what_is_asked_while_the_connection_ends_is_answered(
    open_page: Open, page_of_two: str, ticks: list[float]
) -> None:
    session = open_page(url=page_of_two)
    session.find("#first").click()
    session.says("#first-text", "first answered")  # the connection ends, and the page is not told
    session.find("#second").click()
    session.says("#second-text", "second answered")
    before, until = len(ticks), time.monotonic() + 60
    while len(ticks) < before + 3:  # a timer asks again once it is answered
        assert time.monotonic() < until, "the timer is not answered"
        session.page.wait_for_timeout(100)
