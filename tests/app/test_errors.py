"""Tests of cliqa.app.errors."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from cliqa.app.errors import BUG, short_paths, told
from cliqa.utils.errors import ConfigError


def raised_by(error: Exception) -> gr.Error:
    """Return what a callback that raises an error raises in the browser."""

    @told
    def call() -> None:
        raise error

    with pytest.raises(gr.Error) as found:
        call()
    return found.value


def test_a_mistake_is_told_with_the_last_names_of_paths() -> None:
    text = "/home/ann/work_dirs/demo: no such run. Use <b>config/demo.py</b>"
    assert raised_by(ConfigError(text)).message == (
        "demo: no such run. Use &lt;b&gt;config/demo.py&lt;/b&gt;"
    )


def test_a_full_disk_is_told() -> None:
    error = OSError(errno.ENOSPC, "No space left", "/tmp/a/b.csv")
    assert raised_by(error).message == "b.csv: the disk is full."


def test_a_bug_is_logged_and_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        error = raised_by(KeyError("/secret/path"))
    assert error.message == BUG
    assert "KeyError: '/secret/path'" in caplog.text
    assert "Traceback" in caplog.text


def test_gradios_own_errors_and_generators_go_through() -> None:
    own = gr.Error("mine")
    assert raised_by(own) is own

    @told
    def steps() -> Iterator[int]:
        yield 1
        raise ConfigError("two is missing")

    found: Any = steps()
    assert next(found) == 1
    with pytest.raises(gr.Error, match="two is missing"):
        next(found)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b/c.pth: damaged", "c.pth: damaged"),
        ("see '/a/b c' and (/x/y/)", "see 'b c' and (y)"),
        ("C:\\Users\\ann\\runs\\a.json: missing", "a.json: missing"),
        ("1/2 of config/demo.py, https://a.org/b/c", "1/2 of config/demo.py, https://a.org/b/c"),
        ("/home/x.csv, row 3: 4/5", "x.csv, row 3: 4/5"),
    ],
)
def test_paths_are_shortened(text: str, shown: str) -> None:
    assert short_paths(text) == shown
