"""The command ``cliqa``: finds a command by its name and runs it.

Each is also a script, ``train_config.py``, ``test_config.py`` or one of ``tools/``, with the same
arguments and the same output.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

import cliqa
from cliqa.config.suggest import closest
from cliqa.utils.cli import FAILED, PIPE_CLOSED, run_entry_point
from cliqa.utils.console import discard_output, prepare_console, print_error
from cliqa.utils.errors import machine_trouble

Table = dict[str, tuple[str, str]]

DATA: Table = {
    "iqa": ("data.iqa_dataset", "check folders of quality data sets, or write one as csv"),
    "clear": ("data.clear_dataset", "make and prepare CLEAR data sets"),
    "demo": ("data.make_demo_data", "write generated quality data sets in official layouts"),
    "fashion": ("data.make_fashion_data", "write a small data set in Fashion-MNIST's files"),
    "browse": ("data.browse_data", "draw what a config's model sees"),
    "select": ("data.select_images", "choose the images that are worth a label"),
}
COMMANDS: Table = {
    "train": ("runs.train", "train a config's model over its stream of data sets"),
    "test": ("runs.test", "evaluate a config's checkpoint"),
    "predict": ("models.predict", "score or classify images"),
    "evaluate": ("runs.evaluate", "evaluate and compare models on data sets"),
    "visualize": ("runs.visualize", "draw a run's figures, or compare runs"),
    "compress": ("models.compress", "export, quantize and prune a trained model"),
    "share": ("models.share", "send a model to the Hub, or write its folder"),
    "serve": ("models.serve", "score images over HTTP"),
    "profile": ("models.profile_model", "measure size, MACs, latency and memory"),
    "app": ("models.app", "train, look, score and compress in a browser"),
    "study": ("studies.run_seeds", "compare configs over seeds"),
    "four-phases": ("studies.four_phases", "compare replay, LoRA, texts and INT8 in one table"),
    "tune": ("studies.tune", "choose values of a config's keys without hindsight"),
    "compare-pretraining": ("studies.compare_pretraining", "compare with few labels"),
    "print-config": ("runs.print_config", "print or check a config, its bases resolved"),
    "vis-schedule": ("runs.vis_schedule", "draw a config's learning rate"),
    "from-mmpretrain": ("runs.from_mmpretrain", "convert a config of mmpretrain"),
    "retrieve": ("models.retrieve", "find images by texts"),
    "zero-shot": ("models.zero_shot", "test a model on classes that it never learnt"),
    "ridge": ("models.ridge", "remove data sets from StreamingRidge runs, or merge them"),
    "data": ("", "check, write, generate and show data sets"),
}
"""Modules below `cliqa.commands`, and what they do, by the name of the command."""

IN_SEVERAL = ("runs.train",)
"""Commands that ``torchrun`` may start in several processes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status.

    Args:
        argv: The command's name and its arguments; by default those of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    _own_folder_last()
    return _run("cliqa", COMMANDS, words)


def _run(program: str, table: Table, words: list[str]) -> int:
    """Run the command that the first word names in a table."""
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        return _print(_help(program, table))
    if name == "--version" and program == "cliqa":
        return _print(f"cliqa {cliqa.__version__}\n")
    if name not in table:
        prepare_console()
        known = f"{closest(name, table)} {program} --help lists them all."
        print_error(f"error: {program} {name}: no such command.{known}")
        return FAILED
    module, _ = table[name]
    if not module:
        return _run(f"{program} {name}", DATA, words[1:])
    sys.argv = [f"{program} {name}", *words[1:]]  # what usage lines and run.json tell
    work = partial(_work, module, words[1:])
    return run_entry_point(work, in_several=module in IN_SEVERAL)


def _work(module: str, words: list[str]) -> int | None:
    """Run a command of a module, which is imported only now: Ctrl-C may come meanwhile."""
    status: int | None = import_module(f"cliqa.commands.{module}").main(words)
    return status


def _print(text: str) -> int:
    """Print a text, in a deleted folder too; return the exit status."""
    prepare_console()
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        return PIPE_CLOSED
    except OSError as error:
        print_error(f"error: {machine_trouble(error) or error}")
        return FAILED
    finally:
        discard_output()
    return 0


def _help(program: str, table: Table) -> str:
    """Return the list of a table's commands."""
    width = max(map(len, table))
    lines = [f"usage: {program} COMMAND ...", "", "commands:"]
    lines += [f"  {name:{width}}  {text}" for name, (_, text) in table.items()]
    lines += ["", f"{program} COMMAND --help tells a command's arguments."]
    return "\n".join(lines) + "\n"


def _own_folder_last() -> None:
    """Let a config's ``custom_imports`` find modules in the current folder.

    It comes last: a file there that is called as a module of Python's must not replace it.
    """
    with contextlib.suppress(OSError):  # of a deleted folder, which is told later
        own = os.getcwd()
        sys.path[:] = [*(path for path in sys.path if path not in ("", own)), own]
