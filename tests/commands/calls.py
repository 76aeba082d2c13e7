"""Commands called in this process, as their scripts call them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import pytest

from cliqa.utils.cli import run_entry_point

Call = Callable[..., tuple[int, str, str]]
"""Takes arguments of a command; returns its exit status, stdout and stderr."""


def called(
    main: Callable[[Sequence[str]], int | None],
    capfd: pytest.CaptureFixture[str],
    *arguments: object,
) -> tuple[int, str, str]:
    """Return a command's exit status, stdout and stderr."""
    given = list(map(str, arguments))
    with warnings.catch_warnings():  # the entry point sets filters
        status = run_entry_point(lambda: main(given))
    return status, *capfd.readouterr()
