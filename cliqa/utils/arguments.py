"""The command-line arguments that several entry points share, and checks of their values."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.utils.device import check_workers
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import config_path


def seed(text: str) -> int:
    """Return a seed.

    Raises:
        argparse.ArgumentTypeError: It is not an integer >= 0.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer >= 0, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number.

    Raises:
        argparse.ArgumentTypeError: It is none: ``1e3`` and ``8.0`` are not, lest ``1e-3`` were 0.
    """
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected a whole number such as 1000, got {text!r}")
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
    "config": {
        "type": config_path,
        "help": "config file, e.g. my.py, or cliqa::demo.py of those that are shipped",
    },
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
        "help": "seeds of the runs (default: 0 1 2)",
    },
    "--out": {"type": Path, "help": "folder of the study (default: %(default)s)"},
    "--dry-run": {
        "action": "store_true",
        "help": "train nothing: time a few steps of each config, and print the hours, the memory "
        "and the disk that the study will take",
    },
    "--jobs": {
        "type": int,
        "metavar": "N",
        "help": "runs at a time (default: 1; with --backend ray or submitit all that fit)",
    },
    "--backend": {
        "default": "local",
        "choices": ("local", "ray", "submitit"),
        "help": "where the runs are started: as processes here (default), on a Ray cluster, or as "
        "jobs of SLURM",
    },
    "--address": {
        "metavar": "HOST:PORT",
        "help": "with --backend ray: the cluster, or auto for the one on this machine (default: "
        "start one here)",
    },
    "--gpus-per-run": {
        "type": float,
        "metavar": "G",
        "help": "with --backend ray or submitit: GPUs of each run (Ray: also 0.5, two runs on a "
        "GPU; default there: 1 where the cluster has GPUs)",
    },
    "--cpus-per-run": {
        "type": int,
        "metavar": "N",
        "help": "with --backend ray or submitit: processors, and threads, of each run (default: 1)",
    },
    "--storage": {
        "metavar": "URL",
        "help": "with --backend ray on nodes that share no file system: where runs are kept, e.g. "
        "s3://bucket/x",
    },
    "--slurm": {
        "nargs": "+",
        "action": "extend",
        "metavar": "KEY=VALUE",
        "help": "with --backend submitit: options of sbatch, e.g. partition=gpu time=240; "
        "executor=local runs the jobs here",
    },
    "--device": {
        "default": "auto",
        "help": "auto (default: the first GPU, else the CPU), cpu, cuda or cuda:N",
    },
    "--precision": {
        "choices": ("float32", "bfloat16", "float16", "auto"),
        "help": "of a network's passes: auto is bfloat16 where the device computes it fast, else "
        "float32; its agreement with float32 on the first images is told",
    },
    "--compile": {
        "action": "store_true",
        "help": "compile the network with torch.compile, which takes up to a minute first",
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
    "--scale": {
        "nargs": 2,
        "type": float,
        "metavar": ("LOW", "HIGH"),
        "help": "range of the scores, e.g. 0 10; higher is better (default: the scale and "
        "direction of the run's data set if it has only one, or of a self-contained file; else "
        "0 1)",
    },
    "--dataset": {
        "metavar": "NAME",
        "help": "give scores on the scale of this data set of the config",
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
        "metavar": "grid:5x5|random:25|whole",
        "help": "average over a grid from edge to edge, over random crops, or show the whole image "
        "in one pass (default: as trained)",
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
        "they can then run code",
    },
}
"""The arguments that several entry points share."""

CONFIG = ("config", "--cfg-options", "--work-dir", "--seed", "--device", "--trust")
"""The arguments of an entry point that runs a config."""

SCALE = ("--scale", "--dataset")
"""The arguments of the scale that scores are given on; see `check_scale`."""

PROTOCOL = ("--crops", "--crop-size", "--resize")
"""The arguments of the evaluation protocol, besides the seed of random crops."""

EXECUTION = ("--precision", "--compile")
"""The arguments of how a network is executed."""

BACKEND = (
    *("--jobs", "--backend", "--address", "--gpus-per-run", "--cpus-per-run", "--storage"),
    "--slurm",
)
"""The arguments of where a study's runs are started."""

STUDY = (*BACKEND, "--device", "--cfg-options", "--allow-changed-data", "--trust", "--format")
"""The arguments of a study, besides its seeds and its folder."""


def add_renamed(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Add the old name of an option, which is refused with the new one."""

    def refuse(text: str) -> None:
        raise ConfigError(f"{old} {text}: the option is called {new} now.")

    parser.add_argument(old, nargs="+", type=refuse, help=argparse.SUPPRESS)


def add_arguments(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add arguments of `ARGUMENTS` to a parser, in that order."""
    for name in names:
        add_argument(parser, name)


def add_argument(parser: argparse.ArgumentParser, name: str, **own: Any) -> None:  # noqa: ANN401
    """Add an argument of `ARGUMENTS` to a parser.

    Args:
        parser: The parser.
        name: The argument.
        own: What is different here, such as its ``default``.
    """
    parser.add_argument(name, **{**ARGUMENTS[name], **own})


def check_range(option: str, given: Sequence[float] | None) -> tuple[float, float]:
    """Return the LOW and HIGH of an option, 0 and 1 if it is not given.

    Raises:
        ConfigError: LOW is not below HIGH, or one of them is infinite.
    """
    low, high = given or (0.0, 1.0)
    if not -math.inf < low < high < math.inf:
        raise ConfigError(f"{option} {low:g} {high:g}: LOW must be below HIGH, both finite.")
    return low, high


def check_scale(scale: Sequence[float] | None, dataset: str | None) -> None:
    """Refuse `SCALE` that give no scale, or two.

    Raises:
        ConfigError: LOW is not below HIGH, or both are given.
    """
    check_range("--scale", scale)
    if scale and dataset:
        raise ConfigError("--scale and --dataset: both give the scale. Choose one.")


def check_at_least(least: float, option: str, *given: float | None) -> None:
    """Refuse values of an option below `least`; None is a value that is not given.

    Raises:
        ConfigError: A value is lower, or NaN.
    """
    for value in given:
        if value is not None and not value >= least:
            raise ConfigError(f"{option} {value:g}: must be at least {least:g}.")


def check_at_most(most: float, option: str, *given: float | None) -> None:
    """Refuse values of an option above `most`; None is a value that is not given.

    Raises:
        ConfigError: A value is higher.
    """
    for value in given:
        if value is not None and value > most:
            raise ConfigError(f"{option} {value:g}: at most {most:.12g}.")
