"""The page of all command lines."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from unittest import mock

from docstrings import table

TOOLS = (
    *("train_config", "test_config", "tools.predict", "tools.evaluate", "tools.visualize"),
    *("tools.run_seeds", "tools.tune", "tools.compress", "tools.profile_model", "tools.share"),
    "tools.print_config",
    *(
        "tools.iqa_dataset",
        "tools.clear_dataset",
        "tools.make_demo_data",
        "tools.make_fashion_data",
    ),
    *("tools.compare_pretraining", "tools.zero_shot", "tools.retrieve"),
    *("tools.ridge", "tools.select_images"),
    *("tools.from_mmpretrain", "tools.browse_data", "tools.vis_schedule"),
)
"""The scripts of the page about command lines, in its order."""


class _FoundError(Exception):
    """Carries the parser of a tool."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(tool: str) -> argparse.ArgumentParser:
    """Return the parser of a tool's command line."""
    module = importlib.import_module(importlib.import_module(tool).main.__module__)

    def stop(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _FoundError(self)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            module.parse_args([])
        except _FoundError as found:
            return found.parser
    raise RuntimeError(f"{tool} has no parse_args that parses a command line")


def cli_page() -> str:
    """Return the page of all command lines."""
    parts = [
        "# Command lines",
        "Every tool answers `--help`, ends with status 0 where all went well, with 2 after a "
        "mistake, which is told in a line, and with 130 or 143 after Ctrl-C or SIGTERM.",
    ]
    for tool in TOOLS:
        script = f"{tool.replace('.', '/')}.py"
        parts += [f"## {script}", *_commands(parser_of(tool), f"python {script}")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _commands(parser: argparse.ArgumentParser, prog: str) -> Iterator[str]:
    """Yield what a parser says about itself and its commands."""
    parser.prog = prog
    yield (parser.description or "").strip()
    yield f"```text\n{parser.format_usage().strip()}\n```"
    rows, below = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below = dict(action.choices)
        elif not isinstance(action, argparse._HelpAction):
            names = (
                ", ".join(f"`{name}`" for name in action.option_strings) or f"`{_shown(action)}`"
            )
            rows.append((names, _shown(action), (action.help or "").replace("%%", "%")))
    yield table(("option", "value", "meaning"), rows)
    for name, child in below.items():
        yield f"### {prog.rpartition('/')[2]} {name}"
        yield from _commands(child, f"{prog} {name}")


def _shown(action: argparse.Action) -> str:
    """Return what a user writes for an option's value."""
    if action.nargs == 0:
        return ""
    if action.metavar:
        return " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    if action.choices:
        return " or ".join(map(str, action.choices))
    return action.dest.upper() if action.option_strings else action.dest
