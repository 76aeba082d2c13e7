"""Lists that are filled while a person uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pytest

from cliqa.app.parts import on
from cliqa.app.server import make_app
from cliqa.app.settings import Settings
from tests.app.browser.session import Session
from tests.app.client import served

pytestmark = pytest.mark.browser

Open = Callable[..., Session]

MANY = ["a", "b", "c", "d"]


class Gate:
    """A function's wait for what the test allows."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Tell that the function has begun, and wait."""
        self.begun.set()
        assert self.open.wait(20)


@pytest.fixture
def gate() -> Gate:
    """Return what holds the functions of `page_of_lists`."""
    return Gate()


@pytest.fixture
def page_of_lists(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of a page with a list that two buttons fill, one of them in vain."""

    def build(settings: Settings) -> gr.Blocks:
        with gr.Blocks() as page:
            names = gr.Dropdown(MANY, value="a", label="Names", elem_id="names")
            fewer = gr.Button("Fewer", elem_id="fewer")
            fails = gr.Button("Fails", elem_id="fails")

            def fill(_: str) -> gr.Dropdown:
                gate.wait()
                return gr.Dropdown(["a"], value="a")

            def fail(_: str) -> gr.Dropdown:
                gate.wait()
                raise ValueError("in vain")

            on(fewer.click, fill, [names], [names])
            on(fails.click, fail, [names], [names])
        return page

    monkeypatch.setattr("cliqa.app.server.build_page", build)
    with served(make_app(Settings(tmp_path), tmp_path)) as address:
        yield address
        gate.open.set()


def _options(session: Session) -> int:
    return session.page.locator("[role=option]:visible").count()


@pytest.mark.parametrize("button", ["fewer", "fails"])
def test_a_list_is_closed_until_it_is_filled(
    open_page: Open, page_of_lists: str, gate: Gate, button: str
) -> None:
    session = open_page(url=page_of_lists)
    session.find("#names input").click()
    assert _options(session) == len(MANY)
    session.page.evaluate("id => document.getElementById(id).click()", button)  # the list is open
    assert gate.begun.wait(20)
    session.page.wait_for_function("!document.querySelector('[role=option]')")
    session.page.evaluate("document.querySelector('#names input').focus()")
    assert session.page.evaluate("document.activeElement.tagName") == "BODY"
    gate.open.set()
    session.page.wait_for_function("!document.getElementById('names').inert")
    session.find("#names input").click()
    assert _options(session) == (1 if button == "fewer" else len(MANY))
