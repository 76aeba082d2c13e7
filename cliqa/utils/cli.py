"""Entry points: exit statuses and error messages."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import TypeVar

from cliqa.utils.console import (
    CLOSED,
    ClosedOutput,
    discard_output,
    prepare_console,
    prepare_process,
    print_error,
    reader_has_gone,
)
from cliqa.utils.errors import CliqaError, ConfigError, machine_trouble
from cliqa.utils.logging import close_logging, get_logger, setup_logging
from cliqa.utils.processes.faults import lost_process, may_speak
from cliqa.utils.processes.group import OtherProcessError, started

T = TypeVar("T")

FAILED = 2
SIGNALLED = 128
PIPE_CLOSED = 141
"""Exit statuses: a user's mistake, the offset of a signal's number, and SIGPIPE."""

GRACE = 3.0
"""Seconds for which a process that says nothing lets another one speak."""

QUIET = (
    ("no QP solver found", UserWarning),  # qpsolvers, which only Avalanche's GEM needs
    ("Fail to import", UserWarning),  # mmcv without compiled operators, which nothing here uses
    ("pkg_resources is deprecated", UserWarning),  # which CLIP's package imports
    ("Metric .* used by the EarlyStopping plugin", UserWarning),  # even with its first value
    ("Grad strides do not match bucket view", UserWarning),  # of 1 x 1 kernels, by processes
    ("This DataLoader will create", UserWarning),  # the start of a run says how many it uses
    ("", DeprecationWarning),
    ("", PendingDeprecationWarning),
)
"""Upstream warnings without use for a user: the start of their message and their category."""


def command(
    parse_args: Callable[[Sequence[str] | None], argparse.Namespace],
    trusting: Callable[[bool], AbstractContextManager[None]],
) -> Callable[[Callable[[argparse.Namespace], T]], Callable[..., T]]:
    """Return a decorator that makes ``main(argv=None)`` of a function of the parsed arguments.

    Args:
        parse_args: Parses the command line, which has ``--trust``.
        trusting: `cliqa.config.trust.trusting`; files are trusted in it with ``--trust``.
    """

    def decorate(function: Callable[[argparse.Namespace], T]) -> Callable[..., T]:
        @wraps(function)
        def main(argv: Sequence[str] | None = None) -> T:
            args = parse_args(argv)
            with trusting(args.trust):
                return function(args)

        return main

    return decorate


def run_entry_point(main: Callable[[], int | None], in_several: bool = False) -> int:
    """Run an entry point's `main`, and turn errors into a message and an exit status.

    Messages of the package's loggers go to the console; the traceback of a user's mistake goes to
    the log file, if `main` sets one up.

    Args:
        main: Returns the exit status, None for 0.
        in_several: ``torchrun`` may start it in several processes.

    Returns:
        The exit status: what `main` returned; 2 after a user's mistake or a system error, reported
        in one line without a traceback; 130 after Ctrl-C, or 128 + N if the interrupt has a
        `signum` N (SIGTERM: 143); 141 if the reader of the output is gone. Bugs are raised.
    """
    prepare_console()
    prepare_process()
    quiet_upstream()
    setup_logging()
    try:
        _check_folder()
        if not in_several:
            _check_single()
        status = main() or 0
        _flush()
    except OtherProcessError:
        return _silent()  # the main process reports it
    except CliqaError as error:
        return _fail(_message(error))
    except KeyboardInterrupt as error:
        if may_speak():
            print_error(str(error) or "interrupted")
        return SIGNALLED + int(getattr(error, "signum", signal.SIGINT))
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_has_gone():
            return PIPE_CLOSED
        trouble = lost_process(error) or machine_trouble(error)
        if trouble is None:
            if not may_speak():
                return _silent()  # the same one in another process has a traceback
            raise
        return _fail(trouble)
    finally:
        close_logging()
        discard_output()
    return status


def _check_folder() -> None:
    """Refuse to work in a deleted folder.

    Raises:
        ConfigError: The current folder was deleted, or may not be entered.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError(
            "the current folder was deleted. Change to an existing one, e.g. cd ~"
        ) from error


def _check_single() -> None:
    """Refuse to do the same work, and to write the same files, in several processes.

    Raises:
        ConfigError: ``torchrun`` has started several.
    """
    if started() > 1 and "TORCHELASTIC_RUN_ID" in os.environ:
        raise ConfigError(
            f"{os.path.basename(sys.argv[0])} works in a single process, and torchrun has started "
            f"{started()}. Start it without torchrun, which is for training."
        )


def _flush() -> None:
    """Flush standard output.

    Raises:
        ConfigError: It was closed before the program started, and something was printed.
        OSError: It cannot be written.
    """
    if isinstance(sys.stdout, ClosedOutput) and sys.stdout.lost:
        raise ConfigError(f"{CLOSED}.")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def _message(error: CliqaError) -> str:
    """Return an error's message without a traceback.

    For errors of a loader's worker process torch adds the worker's traceback to the message.
    """
    text = str(error)
    if not text.startswith(f"Caught {type(error).__name__} in DataLoader worker process"):
        return text
    return text.rpartition(f"{type(error).__name__}: ")[2].strip()


def _fail(message: str) -> int:
    """Print an error, one per line of the message; indented lines continue the line before.

    The traceback goes to the log file.
    """
    if not may_speak():
        return _silent()
    get_logger(__name__).debug("stopped by an error", exc_info=True)
    for line in message.splitlines():
        print_error(line if line.startswith(" ") else f"error: {line}")
    return FAILED


def _silent() -> int:
    """Return the status of a process whose fault another one reports, and has the time to.

    As soon as one has ended, ``torchrun`` ends the others.
    """
    get_logger(__name__).debug("stopped by an error", exc_info=True)
    time.sleep(GRACE)
    return FAILED


def quiet_upstream() -> None:
    """Hide the warnings in `QUIET`, and those of PyTorch's own code about how processes talk."""
    if started() > 1:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    for message, category in QUIET:
        warnings.filterwarnings("ignore", message=message, category=category)
