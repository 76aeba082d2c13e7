"""Tests of cliqa.app.parts."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pandas as pd
import pytest

from cliqa.app.parts import (
    bullets,
    facts,
    hint,
    how_to_train,
    note,
    on,
    opened,
    page_load,
    short_names,
    shown_image,
    shown_table,
)
from cliqa.app.settings import Settings


def test_text_of_others_is_escaped() -> None:
    bad = "<script>x</script>"
    for made in (bullets([bad]), facts({bad: bad}), hint(bad), hint(f"`{bad}`")):
        assert "<script>" not in made
        assert "&lt;script&gt;" in made
    assert hint("run `a b`, then") == "<p class='hint'>run <code>a b</code>, then</p>"


def test_long_lists_are_cut() -> None:
    assert bullets([]) == ""
    assert bullets(map(str, range(15)), 3).endswith("<li>2</li><li>and 12 more</li></ul>")


def test_what_is_empty_is_hidden() -> None:
    assert not shown_image(None).visible
    assert not shown_table(None).visible
    assert not shown_table(pd.DataFrame({"a": []})).visible
    assert shown_table(pd.DataFrame({"a": ["1"]})).visible
    assert not note("").visible
    assert note("x").visible


def test_short_names_stay_different() -> None:
    long = ["x" * 30 + end + "x" * 30 for end in "ab"]
    assert short_names(long) == long
    assert short_names(["a", "b" * 60])[1] != "b" * 60


def test_events_are_no_public_endpoints() -> None:
    with gr.Blocks() as page:
        box = gr.Textbox()
        on([box.change, page_load()], lambda text: text, [box], [box])
    (dependency,) = page.config["dependencies"]
    assert dependency["api_visibility"] == "private"
    assert {event for _, event in dependency["targets"]} == {"change", "load"}


def test_no_event_is_lost_but_a_second_click() -> None:
    with gr.Blocks() as page:
        box, button, names = gr.Textbox(), gr.Button(), gr.Dropdown(["a"], elem_id="names")
        timer, pictures = gr.Timer(), gr.Gallery()
        for triggers in (button.click, [timer.tick, names.input], pictures.select):
            on(triggers, lambda: "x", [], [box])
    modes = [each["trigger_mode"] for each in page.config["dependencies"]]
    assert modes == ["once", "always_last", "multiple"]


def test_a_page_load_needs_a_page() -> None:
    with pytest.raises(RuntimeError, match="inside gr.Blocks"):
        page_load()


def test_lists_are_read_anew_when_their_tab_is_chosen() -> None:
    with gr.Blocks() as page, gr.Tabs():
        for name in ("one", "two"):
            with gr.Tab(name), gr.Row():
                on(opened(), lambda: "x", [], [gr.Textbox()])
    first, second = page.config["dependencies"]
    assert {event for _, event in first["targets"]} == {"load", "select"}
    assert {event for _, event in second["targets"]} == {"select"}


def test_without_tabs_lists_are_read_when_the_page_is_opened() -> None:
    with gr.Blocks() as page:
        on(opened(), lambda: "x", [], [gr.Textbox()])
    (dependency,) = page.config["dependencies"]
    assert [event for _, event in dependency["targets"]] == ["load"]


def test_a_list_that_is_filled_has_a_name_in_the_page() -> None:
    with gr.Blocks(), pytest.raises(RuntimeError, match="needs an elem_id"):
        on(page_load(), lambda: "x", [], [gr.Dropdown()])


def test_an_empty_page_names_what_there_is() -> None:
    assert how_to_train(Settings(Path("none"))) == "Train one in the tab Train"
    assert "`cliqa train cliqa::demo.py`" in how_to_train(Settings(Path("none"), read_only=True))
