"""What a browser is told when something goes wrong: advice for mistakes, little for bugs."""

from __future__ import annotations

import functools
import html
import inspect
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gradio as gr

from cliqa.utils.errors import CliqaError, machine_trouble
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

BUG = "This is a bug, not a mistake of yours. The log of the server says more."

SECONDS = 15.0
"""How long a message stays, which may advise something."""

_PATH = re.compile(r"(?<![\w.:/<])(?:[A-Za-z]:)?(?:[\\/][^\s\\/:'\",;()]+)+[\\/]?")


def told(function: F) -> F:
    """Decorate a callback: its errors become messages in the browser.

    A `CliqaError` and a system error with a remedy are told, with paths shortened to their last
    names. Anything else is a bug: it is logged with its traceback, and told without.
    """
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generating(*args: Any, **kwargs: Any) -> Iterator[Any]:  # noqa: ANN401
            try:
                yield from function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  it is logged
                raise _shown(error, function.__name__) from None

        return generating  # type: ignore[return-value]

    @functools.wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  it is logged
            raise _shown(error, function.__name__) from None

    return calling  # type: ignore[return-value]


def message_of(error: Exception) -> str | None:
    """Return what a user is told about an error; None for a bug."""
    text = str(error) if isinstance(error, CliqaError) else machine_trouble(error)
    return None if text is None else short_paths(text)


def short_paths(text: str) -> str:
    """Return a message with the last name of every path of the machine alone.

    >>> short_paths("/home/ann/work_dirs/demo/results.json: missing. See config/demo.py")
    'results.json: missing. See config/demo.py'
    """
    return _PATH.sub(lambda found: re.split(r"[\\/]", found[0].rstrip("\\/"))[-1], text)


def _shown(error: Exception, where: str) -> gr.Error:
    """Return the error that the browser shows."""
    if isinstance(error, gr.Error):
        return error
    text = message_of(error)
    if text is None:
        # the console shows no traceback of its own accord
        logger.error("a bug in %s:\n%s", where, "".join(traceback.format_exception(error)))
        return gr.Error(BUG, duration=SECONDS, print_exception=False)
    text = html.escape(text, quote=False).replace("\n", "<br>")  # a message is shown as HTML
    return gr.Error(text, duration=SECONDS, print_exception=False)
