"""Messages of a run: to the console, and to the run's log file."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path
from typing import TextIO

from cliqa.utils.console import print_error

ROOT = "cliqa"


class _Console(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment; INFO as the message alone."""

    def __init__(self) -> None:
        logging.Handler.__init__(self, logging.INFO)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Return the stream to write to."""
        return sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, with its level where that is above INFO."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return level + record.getMessage()


class _File(logging.FileHandler):
    """Appends to a run's log file; a full disk is told once, and does not stop the run."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Say on the console what keeps the file from being written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            print_error(f"warning: {self.baseFilename}: cannot be written ({error.strerror})")


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module.

    Args:
        name: The module's ``__name__``. Names outside the package are put below its logger.
    """
    return logging.getLogger(name if name.partition(".")[0] == ROOT else f"{ROOT}.{name}")


def setup_logging(file: Path | None = None) -> None:
    """Send the package's messages to the console (INFO) and, if given, to a file (DEBUG).

    A second call replaces what the first one set up, so no message appears twice. The file is
    appended to and flushed after every message.

    Args:
        file: The log file; its folder is created. None: the console alone.
    """
    close_logging()
    logger = logging.getLogger(ROOT)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(_Console())
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(file, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


def close_logging() -> None:
    """Remove and close what `setup_logging` set up; handlers of others stay."""
    logger = logging.getLogger(ROOT)
    for handler in list(logger.handlers):
        if isinstance(handler, (_Console, _File)):
            logger.removeHandler(handler)
            with contextlib.suppress(OSError):  # what could not be written before
                handler.close()
    logger.setLevel(logging.NOTSET)
