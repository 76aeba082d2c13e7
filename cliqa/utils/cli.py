"""Entry points: shared arguments, exit statuses and error messages."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

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
from cliqa.utils.paths import check_output_folder

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


def add_options_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``config`` and ``--cfg-options`` (a list of ``key=value``, empty by default)."""
    parser.add_argument("config", help="config file, e.g. config/demo.py")
    _add_cfg_options(parser, "the config, e.g. cl_strategy.optimizer.lr=1e-3 loggers.0.file=a.log")


def _add_cfg_options(parser: argparse.ArgumentParser, whose: str) -> None:
    """Add ``--cfg-options``, with the help ``change keys of`` and `whose`."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=f"change keys of {whose}",
    )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of an entry point that runs a config.

    ``config``, ``--cfg-options``, ``--work-dir`` and ``--seed`` (None by default), ``--device``
    (``"auto"`` by default) and ``--trust``.
    """
    add_options_argument(parser)
    parser.add_argument("--work-dir", help="folder of the run (default: work_dirs/<config name>)")
    parser.add_argument("--seed", type=_seed, help="seed of all randomness (default: the config's)")
    parser.add_argument(
        "--device", default="auto", help="auto (default: the first GPU, else the CPU), cpu, cuda:N"
    )
    add_trust_argument(parser)


def add_changed_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-changed-data``, for tools that resume or evaluate a run."""
    parser.add_argument(
        "--allow-changed-data",
        action="store_true",
        help="continue if labels or images differ from those of the run; the results say so",
    )


def add_study_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the arguments of a study: seeds, jobs, folder, device, changed data, ``--cfg-options``.

    Args:
        parser: The tool's parser.
        out: The default folder.
    """
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S", help="default: 0 1 2"
    )
    parser.add_argument("--jobs", type=int, default=1, help="parallel runs (default: 1)")
    parser.add_argument("--out", type=Path, default=Path(out), help="study's folder")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    add_changed_data_argument(parser)
    _add_cfg_options(parser, "every config, e.g. scenario.dataset_root=/data")
    add_trust_argument(parser)


def check_study_arguments(args: argparse.Namespace) -> None:
    """Refuse invalid values of the arguments of `add_study_arguments`.

    Raises:
        ConfigError: There is less than one job, a seed is negative, or the folder cannot be
            written to.
    """
    if args.jobs < 1:
        raise ConfigError(f"--jobs {args.jobs}: must be at least 1.")
    if min(args.seeds) < 0:
        raise ConfigError(f"--seeds {min(args.seeds)}: a seed is an integer >= 0.")
    check_output_folder(args.out)


def add_protocol_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the evaluation protocol: ``--crops``, ``--crop-size``, ``--resize`` and ``--seed``."""
    parser.add_argument(
        "--crops",
        metavar="grid:5x5|random:25",
        help="average over a grid from edge to edge, or over random crops (default: as trained)",
    )
    parser.add_argument("--crop-size", type=int, default=224, help="in pixels (default: 224)")
    parser.add_argument(
        "--resize",
        nargs="+",
        metavar="PIXELS",
        help="resize to this shorter edge, to HEIGHT WIDTH, or 'none' (default: as trained)",
    )
    parser.add_argument("--seed", type=_seed, default=0, help="seed of random crops (default: 0)")


def add_workers_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--num-workers``: processes that load images, 0 by default."""
    parser.add_argument(
        "--num-workers", type=_workers, default=0, metavar="N", help="processes that load images"
    )


def _workers(text: str) -> int:
    """Return a number of worker processes.

    Raises:
        ConfigError: It is not an integer, or out of range.
    """
    number = int(text) if re.fullmatch(r"-?\d{1,9}", text) else text
    check_workers(number, "--num-workers")
    return int(text)


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust`` (False by default), for `cliqa.config.trust.trusting`."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="let the files that are opened name any component and import their run's modules: "
        "they can then run code (docs/security.md)",
    )


def _seed(text: str) -> int:
    """Return a seed.

    Raises:
        argparse.ArgumentTypeError: It is not an integer >= 0.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer >= 0, got {text!r}")
    return int(text)


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
