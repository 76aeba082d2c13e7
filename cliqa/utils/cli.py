"""Entry points: shared arguments, exit statuses and error messages."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, TypeVar

from cliqa.utils.console import (
    CLOSED,
    ClosedOutput,
    discard_output,
    prepare_console,
    prepare_process,
    print_error,
    reader_has_gone,
)
from cliqa.utils.device import check_workers
from cliqa.utils.errors import CliqaError, ConfigError, machine_trouble
from cliqa.utils.logging import close_logging, get_logger, setup_logging

T = TypeVar("T")

FAILED = 2
SIGNALLED = 128
PIPE_CLOSED = 141
"""Exit statuses: a user's mistake, the offset of a signal's number, and SIGPIPE."""

QUIET = (
    ("no QP solver found", UserWarning),  # qpsolvers, which only Avalanche's GEM needs
    ("Fail to import", UserWarning),  # mmcv without compiled operators, which nothing here uses
    ("pkg_resources is deprecated", UserWarning),  # which CLIP's package imports
    ("Metric .* used by the EarlyStopping plugin", UserWarning),  # even with its first value
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


def seed(text: str) -> int:
    """Return a seed.

    Raises:
        argparse.ArgumentTypeError: It is not an integer >= 0.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer >= 0, got {text!r}")
    return int(text)


def _one_of_seeds(text: str) -> int:
    """Return one of several seeds; others than integers >= 0 are a `ConfigError`."""
    if not text.isdecimal():
        raise ConfigError(f"--seeds {text}: a seed is an integer >= 0.")
    return int(text)


def _workers(text: str) -> int:
    """Return a number of worker processes; others are a `ConfigError`."""
    number = int(text) if re.fullmatch(r"-?\d{1,9}", text) else text
    check_workers(number, "--num-workers")
    return int(text)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "config": {"help": "config file, e.g. config/demo.py"},
    "--cfg-options": {
        "nargs": "+",
        "action": "extend",
        "default": [],
        "metavar": "KEY=VALUE",
        "help": "change keys of the config (in a study: of every config), e.g. "
        "cl_strategy.optimizer.lr=1e-3 loggers.0.file=a.log",
    },
    "--data": {
        "nargs": "+",
        "action": "extend",
        "metavar": "FILE",
        "help": "your own scores (csv, xlsx, json, parquet) in place of the config's data sets",
    },
    "--work-dir": {"help": "folder of the run (default: work_dirs/<config name>)"},
    "--seed": {"type": seed, "help": "seed of all randomness (default: the config's)"},
    "--seeds": {
        "nargs": "+",
        "type": _one_of_seeds,
        "default": [0, 1, 2],
        "metavar": "S",
        "help": "default: 0 1 2",
    },
    "--jobs": {"type": int, "default": 1, "help": "parallel runs (default: 1)"},
    "--device": {
        "default": "auto",
        "help": "auto (default: the first GPU, else the CPU), cpu, cuda or cuda:N",
    },
    "--num-workers": {
        "type": _workers,
        "default": 0,
        "metavar": "N",
        "help": "processes that load images",
    },
    "--split": {
        "default": "test",
        "choices": ("test", "val", "train", "all"),
        "help": "default: test",
    },
    "--score-range": {
        "nargs": 2,
        "type": float,
        "metavar": ("LOW", "HIGH"),
        "help": "of files of scores",
    },
    "--lower-is-better": {"action": "store_true", "help": "files of scores hold a DMOS"},
    "--checkpoint": {
        "dest": "named",
        "metavar": "NAME",
        "help": "of a work_dir: best (by the validation measure), exp_0 ... (default: last)",
    },
    "--crops": {
        "metavar": "grid:5x5|random:25",
        "help": "average over a grid from edge to edge, or over random crops (default: as trained)",
    },
    "--crop-size": {"type": int, "help": "of --crops, in pixels (default: the model's own)"},
    "--resize": {
        "nargs": "+",
        "metavar": "PIXELS",
        "help": "resize to this shorter edge, to HEIGHT WIDTH, or 'none' (default: as trained)",
    },
    "--format": {
        "default": "text",
        "choices": ("text", "markdown", "latex", "html", "csv"),
        "help": "of the tables that are printed (default: text)",
    },
    "--allow-changed-data": {
        "action": "store_true",
        "help": "continue if labels or images differ from those of the run; the results say so",
    },
    "--trust": {
        "action": "store_true",
        "help": "let the files that are opened name any component and import their run's modules: "
        "they can then run code (docs/security.md)",
    },
}
"""The arguments that several entry points share."""

CONFIG = ("config", "--cfg-options", "--work-dir", "--seed", "--device", "--trust")
"""The arguments of an entry point that runs a config."""

PROTOCOL = ("--crops", "--crop-size", "--resize")
"""The arguments of the evaluation protocol, besides the seed of random crops."""

STUDY = ("--seeds", "--jobs", "--device", "--allow-changed-data", "--cfg-options", "--trust")
"""The arguments of a study."""


def add_arguments(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add arguments of `ARGUMENTS` to a parser, in that order."""
    for name in names:
        parser.add_argument(name, **ARGUMENTS[name])


def check_range(option: str, given: Sequence[float] | None) -> tuple[float, float]:
    """Return the LOW and HIGH of an option, 0 and 1 if it is not given.

    Raises:
        ConfigError: LOW is not below HIGH.
    """
    low, high = given or (0.0, 1.0)
    if not low < high:
        raise ConfigError(f"{option} {low:g} {high:g}: LOW must be below HIGH.")
    return low, high


def check_at_least(least: float, option: str, *given: float | None) -> None:
    """Refuse values of an option below `least`; None is a value that is not given.

    Raises:
        ConfigError: A value is lower, or NaN.
    """
    for value in given:
        if value is not None and not value >= least:
            raise ConfigError(f"{option} {value:g}: must be at least {least:g}.")


def run_entry_point(main: Callable[[], int | None]) -> int:
    """Run an entry point's `main`, and turn errors into a message and an exit status.

    Messages of the package's loggers go to the console; the traceback of a user's mistake goes to
    the log file, if `main` sets one up.

    Args:
        main: Returns the exit status, None for 0.

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
        status = main() or 0
        _flush()
    except CliqaError as error:
        return _fail(_message(error))
    except KeyboardInterrupt as error:
        print_error(str(error) or "interrupted")
        return SIGNALLED + int(getattr(error, "signum", signal.SIGINT))
    except Exception as error:
        if isinstance(error, BrokenPipeError) and reader_has_gone():
            return PIPE_CLOSED
        trouble = machine_trouble(error)
        if trouble is None:
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
    get_logger(__name__).debug("stopped by an error", exc_info=True)
    for line in message.splitlines():
        print_error(line if line.startswith(" ") else f"error: {line}")
    return FAILED


def quiet_upstream() -> None:
    """Hide the warnings in `QUIET`."""
    for message, category in QUIET:
        warnings.filterwarnings("ignore", message=message, category=category)
