"""The page of all command lines."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from unittest import mock

from docstrings import table

from cliqa.commands.main import COMMANDS, DATA


class _FoundError(Exception):
    """Carries the parser of a tool."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command line, by the name of its module below `cliqa.commands`."""
    module = importlib.import_module(f"cliqa.commands.{name}")

    def stop(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _FoundError(self)

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
        try:
            module.parse_args([])
        except _FoundError as found:
            return found.parser
    raise RuntimeError(f"{name} has no parse_args that parses a command line")


def cli_page() -> str:
    """Return the page of all command lines."""
    parts = [
        "# Command lines",
        "Every command is a script in the checkout, and a word after `cliqa` wherever the package "
        "is installed: `python tools/predict.py` and `cliqa predict` are the same. It answers "
        "`--help`, ends with status 0 where all went well, with 2 after a "
        "mistake, which is told in a line, and with 130 or 143 after Ctrl-C or SIGTERM.",
    ]
    for command, (module, _) in commands():
        script = script_of(module)
        parts += [f"## {script}", f"`cliqa {command}`"]
        parts += _commands(parser_of(module), f"python {script}")
    return "\n\n".join(part for part in parts if part) + "\n"


def commands() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the words after ``cliqa``, and the modules with their descriptions."""
    for name, entry in COMMANDS.items():
        if name == "data":
            yield from ((f"data {below}", found) for below, found in DATA.items())
        else:
            yield name, entry


def script_of(module: str) -> str:
    """Return the script that starts a module below `cliqa.commands`."""
    name = module.rpartition(".")[2]
    return f"{name}_config.py" if name in ("train", "test") else f"tools/{name}.py"


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
