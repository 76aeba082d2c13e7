"""Tables of text cells, and how they are written: as text, Markdown, LaTeX, HTML or CSV."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tabulate import tabulate

Style = Literal["text", "markdown", "latex", "html", "csv"]

SUFFIXES: dict[Style, str] = {
    "text": ".txt",
    "markdown": ".md",
    "latex": ".tex",
    "html": ".html",
    "csv": ".csv",
}
"""The ending of a file in each style."""

STYLES = {suffix: style for style, suffix in SUFFIXES.items()}
"""The style of a file by its ending."""

NOT_DEFINED = "n/a"


@dataclass(frozen=True)
class Table:
    """A title, column heads and lines of cells."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def render(table: Table, style: Style = "text") -> str:
    """Return a table in a style, ending with a line break.

    ``"text"`` is aligned; ``"latex"`` a ``table`` with its title as the caption, for the package
    booktabs; ``"html"`` a ``<table>`` with a ``<caption>``. What a style would take as a command is
    escaped.

    Raises:
        ValueError: `style` is unknown.
    """
    if style == "csv":
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([table.header, *table.rows])
        return text.getvalue()
    lines = [table.header, *table.rows]
    if style == "text":
        right = [all(map(_is_number, column[1:])) for column in zip(*lines, strict=True)]
        shown = [line.rstrip() for line in _aligned(lines, right, "plain")]
        return "\n".join([table.title, "-" * max(map(len, shown)), *shown]) + "\n"
    if style == "markdown":
        lines = [tuple(map(as_markdown, line)) for line in lines]
        right = [column > 0 for column in range(len(table.header))]
        shown = _aligned(lines, right, "pipe", FIRST)
        return "\n".join([f"**{as_markdown(table.title)}**", "", *shown]) + "\n"
    if style == "latex":
        return _latex(table)
    if style == "html":
        shown = _aligned(lines, [column > 0 for column in range(len(table.header))], style, FIRST)
        caption = f"<caption>{html.escape(table.title)}</caption>"
        return "\n".join([shown[0], caption, *shown[1:]]) + "\n"
    raise ValueError(f"style must be one of {', '.join(SUFFIXES)}, got {style!r}")


def render_notes(notes: Sequence[str], style: Style = "text") -> str:
    r"""Return remarks below tables, ending with a line break; LaTeX has them as its comments.

    >>> render_notes(["a < b"], "html"), render_notes(["a < b"])
    ('<ul>\n<li>a &lt; b</li>\n</ul>\n', '- a < b\n')
    """
    if style == "html":
        items = "\n".join(f"<li>{html.escape(note)}</li>" for note in notes)
        return f"<ul>\n{items}\n</ul>\n"
    mark = "% " if style == "latex" else "- "
    more = "\n% " if style == "latex" else "\n"
    if style == "markdown":
        notes = [as_markdown(note) for note in notes]
    return "".join(f"{mark}{more.join(note.splitlines())}\n" for note in notes)


MARKDOWN = re.compile(r"[\\`*|<]|~(?=~)|(?<=\])(?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown takes as a command within a line; ``_`` inside a word is none."""


def as_markdown(text: str) -> str:
    r"""Return a text as a part of a line of Markdown, where it looks as it is.

    >>> as_markdown("a|b <i>"), as_markdown("my_set"), as_markdown("__x__")
    ('a\\|b \\<i>', 'my_set', '\\_\\_x\\_\\_')
    >>> as_markdown("[0.1, 0.2]"), as_markdown("one\n---\ntwo [x](y)")
    ('[0.1, 0.2]', 'one --- two [x]\\(y)')
    """
    return MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
        **{"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$"},
    }
)
"""How LaTeX writes characters that mean something to it, or that it has no letter for."""


def _latex(table: Table) -> str:
    """Return a table in LaTeX; tabulate's own escaping leaves out ``±``."""
    lines = [[cell.translate(LATEX) for cell in line] for line in (table.header, *table.rows)]
    right = [column > 0 for column in range(len(table.header))]
    shown = _aligned(lines, right, "latex_raw", FIRST)
    rules = iter((r"\toprule", r"\midrule", r"\bottomrule"))
    body = [next(rules) if line == r"\hline" else line for line in shown]
    caption = rf"\caption{{{table.title.translate(LATEX)}}}"
    start = ["% \\usepackage{booktabs}", r"\begin{table}", r"\centering", caption]
    return "\n".join([*start, *body, r"\end{table}"]) + "\n"


FIRST = "firstrow"
"""What tabulate calls the first line as the heads of columns."""


def _aligned(
    lines: Sequence[Sequence[str]], right: Sequence[bool], form: str, headers: str = ""
) -> list[str]:
    """Return lines of cells as tabulate aligns them in one of its formats."""
    sides = ["right" if one else "left" for one in right]
    text: str = tabulate(lines, headers or (), tablefmt=form, colalign=sides, disable_numparse=True)
    return text.split("\n")


def _is_number(cell: str) -> bool:
    """Return whether a cell belongs to a column of numbers."""
    return cell.startswith(NOT_DEFINED) or cell.lstrip("-")[:1].isdigit()


def noted(notes: Sequence[str], style: Style, gap: str = "") -> str:
    """Return remarks under the word "Notes", and an empty line where `gap` is one."""
    head = "" if style in ("latex", "html") else f"Notes\n{gap}"
    return head + render_notes(notes, style)
