"""Errors that are collected, so that a user reads all of them at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from cliqa.utils.errors import CliqaError


class Mistakes:
    """The texts of errors, in the order in which they were found, each of them once.

    >>> mistakes = Mistakes()
    >>> with mistakes.noted():
    ...     raise CliqaError("a.csv: no column 'image'.")
    >>> mistakes.lines
    ["a.csv: no column 'image'."]
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, texts: Iterable[str]) -> None:
        """Add texts; each line of one is a mistake of its own."""
        found = [line for text in texts for line in text.splitlines()]
        self.lines = list(dict.fromkeys([*self.lines, *found]))

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Add the error that ends the block, if one does, and go on after it."""
        try:
            yield
        except CliqaError as error:
            self.add([str(error)])

    def raise_as(self, kind: type[CliqaError]) -> None:
        """Raise all that was found as one error of this kind; nothing if there is none.

        Raises:
            CliqaError: Of the kind, with a line for every mistake.
        """
        if self.lines:
            raise kind("\n".join(self.lines))
