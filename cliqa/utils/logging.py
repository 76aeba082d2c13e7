"""Messages of a run: to the console, and to the run's log file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TextIO

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
    """Appends to a run's log file."""


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
        handler = _File(file, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)


def close_logging() -> None:
    """Remove and close what `setup_logging` set up; handlers of others stay."""
    logger = logging.getLogger(ROOT)
    for handler in list(logger.handlers):
        if isinstance(handler, (_Console, _File)):
            logger.removeHandler(handler)
            handler.close()
    logger.setLevel(logging.NOTSET)
