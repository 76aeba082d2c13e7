"""Loggers that cannot stop a run: the first lost value is reported, and training continues."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from cliqa.utils.console import reader_has_gone
from cliqa.utils.errors import machine_trouble
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

T = TypeVar("T")

HOOKS = ("before_", "after_", "log_", "close")
"""How the names of the methods begin that a run calls."""


def guarded(one: T) -> T:
    """Return a logger whose methods ignore errors of the machine: a full disk, a lost server.

    A mistake of the logger's own is raised as ever.

    Args:
        one: The logger. `failures` names the errors that it may pass over (default: OSError), and
            `abandon()` is called after the first, where it has one; it is left alone then.
    """
    failures: tuple[type[Exception], ...] = getattr(one, "failures", (OSError,))
    losses = _Losses(one)
    for name in dir(type(one)):
        method = getattr(one, name, None)
        if name.startswith(HOOKS) and callable(method):
            setattr(one, name, _passing_over(method, failures, losses))
    return one


class _Losses:
    """The errors of a logger so far."""

    def __init__(self, one: object) -> None:
        self.one = one
        self.reported = False
        self.abandoned = False

    def add(self, error: Exception) -> None:
        """Report the first error, and stop using a logger that cannot recover."""
        if not self.reported:
            self.reported = True
            reason = machine_trouble(error) or f"{type(error).__name__}: {error}"
            logger.warning(
                "%s: cannot write (%s); the run continues without it",
                type(self.one).__name__,
                " ".join(reason.split()).rstrip("."),
            )
        if callable(abandon := getattr(self.one, "abandon", None)):
            self.abandoned = True
            abandon()


def _passing_over(
    method: Callable[..., Any], failures: tuple[type[Exception], ...], losses: _Losses
) -> Callable[..., Any]:
    """Return a method that records some errors instead of raising them."""

    @functools.wraps(method)
    def call(*args: object, **kwargs: object) -> object:
        if losses.abandoned:
            return None
        try:
            return method(*args, **kwargs)
        except failures as error:
            if isinstance(error, BrokenPipeError) and OSError in failures and reader_has_gone():
                raise  # of the console: the entry point ends quietly
            losses.add(error)
            return None

    return call
