"""Log messages: to the console, and to the run's log file."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cliqa.utils import progress
from cliqa.utils.console import print_error
from cliqa.utils.processes.group import is_main

ROOT = "cliqa"

if TYPE_CHECKING:
    _Stream = logging.StreamHandler[TextIO]
else:
    _Stream = logging.StreamHandler  # a generic class since Python 3.11 only


class _Console(_Stream):
    """Writes to the current ``sys.stderr``; INFO messages without a level."""

    def __init__(self) -> None:
        logging.Handler.__init__(self, logging.INFO)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Return the stream to write to."""
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, with its level if that is above INFO."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return level + record.getMessage()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message, above a bar; a line of progress says no more than the bar."""
        if record.name == progress.NAME and progress.bar_is_shown():
            return
        progress.spoke()
        with progress.bars_cleared():
            super().emit(record)


class _File(logging.FileHandler):
    """Appends to a run's log file; a full disk is reported once, and does not stop the run."""

    _reported = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Report on the console why the file cannot be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._reported:
            self._reported = True
            print_error(f"warning: {self.baseFilename}: cannot be written ({error.strerror})")


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module.

    Args:
        name: The module's ``__name__``. Other names become children of the package's logger.
    """
    return logging.getLogger(name if name.partition(".")[0] == ROOT else f"{ROOT}.{name}")


def setup_logging(file: Path | None = None) -> None:
    """Send the package's messages to the console (INFO) and, if given, to a file (DEBUG).

    Of a run's processes only the main one speaks: the others have the same to say.

    A second call replaces the handlers of the first. The file is appended to, and flushed after
    every message.

    Args:
        file: The log file; its folder is created. None: only the console.
    """
    close_logging()
    logger = logging.getLogger(ROOT)
    logger.setLevel(logging.DEBUG if is_main() else logging.CRITICAL)
    logger.addHandler(_Console())
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(file, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


def close_logging() -> None:
    """Remove and close the handlers of `setup_logging`; others stay."""
    logger = logging.getLogger(ROOT)
    for handler in list(logger.handlers):
        if isinstance(handler, (_Console, _File)):
            logger.removeHandler(handler)
            with contextlib.suppress(OSError):  # writing has failed before
                handler.close()
    logger.setLevel(logging.NOTSET)
