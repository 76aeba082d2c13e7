"""Docstrings and signatures as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cliqa.config.annotations import UNKNOWN, in_words
from cliqa.config.arguments import arguments_of

SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Examples?):\s*$", re.MULTILINE)
RST_TABLE = re.compile(r"^=+ [= ]+$.*^=+ [= ]+$", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^ {4}(\*{0,2}\w+)(?: \([^)]*\))?:\s?(.*)$")


def text_of(thing: object) -> str:
    """Return what a docstring says before its sections."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return as_markdown(SECTION.split(text)[0].strip())


def entries_of(thing: object, section: str = "Args") -> dict[str, str]:
    """Return the entries of a docstring's section by name."""
    parts = SECTION.split(inspect.cleandoc(thing.__doc__ or ""))
    body = next((b for s, b in zip(parts[1::2], parts[2::2], strict=True) if s == section), "")
    found: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        match = ENTRY.match(line)
        if match:
            name = match[1].lstrip("*")
            found[name] = match[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def as_markdown(text: str) -> str:
    """Return a docstring's text as Markdown."""
    text = re.sub(r"::$", ":", text, flags=re.MULTILINE)
    return RST_TABLE.sub(r"```text\n\g<0>\n```", text)


def cell(text: object) -> str:
    """Return a text as a table's cell."""
    parts = re.split(r"(`+[^`]*`+)", " ".join(str(text).split()))
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]  # code needs no escape
    return "".join(parts)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table, nothing where it has no row."""
    head, lines = list(head), [[cell(value) for value in row] for row in rows]
    if not lines:
        return ""
    ruler = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ruler, *lines]) + "\n"


def code(value: object) -> str:
    """Return a value as code; an object's address is left out."""
    text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return f"`{text}`" if "`" not in text else text


def argument_rows(
    component: Callable[..., Any], hidden: Iterable[str] = ()
) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and meaning of a component's arguments."""
    meanings: dict[str, str] = {}
    for owner in reversed(inspect.getmro(component) if inspect.isclass(component) else [component]):
        meanings |= {**entries_of(owner, "Attributes"), **entries_of(owner)}
    for name, argument in arguments_of(component).items():
        if name in set(hidden):
            continue
        needed = argument.default is inspect.Parameter.empty
        default = "required" if needed else code(argument.default)
        kind = SECTIONS_OF.get(name) or type_in_words(argument.annotation)
        yield f"`{name}`", kind, default, meanings.get(name, "")


def type_in_words(annotation: object) -> str:
    """Return what an argument may be, as error messages say it; nothing where nobody knows."""
    text = "" if annotation is UNKNOWN else in_words(annotation)
    text = "" if "anything" in text else text.replace("finite number", "number")
    return text.replace("dict(...)", "`dict(...)`")


SECTIONS_OF = {
    "datasets": "list of `dict(type=...)`",
    "train_transform": "list of `dict(type=...)`",
    "eval_transform": "list of `dict(type=...)`",
}
"""Arguments that a config gives as sections of their own."""
