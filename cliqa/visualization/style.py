"""The style of all figures: sizes and colours; files are written atomically.

Figures are plain `matplotlib.figure.Figure` objects, without pyplot: no display, no global list of
open figures, and any process or thread may draw.
"""

from __future__ import annotations

import functools
import re
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, Formatter, FuncFormatter

from cliqa.evaluation.records.tables import number
from cliqa.utils.io import atomic_open

P = ParamSpec("P")

FORMATS = ("png", "pdf", "svg")

OF_LOG_SCALE = r"$\mathdefault"
"""How the labels of powers begin, which are formulas."""

COLUMN = 3.5
"""Width of one column of a two-column paper, in inches."""

PAGE = 7.2
"""Width of both columns, in inches."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#666666")
"""Colour-blind readers tell them apart (Okabe & Ito 2008; its yellow and black are replaced)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

INK = "#222222"
MUTED = "#777777"
FAINT = "#D9D9D9"

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "text.color": INK,
    "hatch.linewidth": 0.4,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # outlines that journals accept and editors can select
    "svg.fonttype": "none",
    "svg.hashsalt": "cliqa",  # equal input, equal names inside the file
    "axes.unicode_minus": True,
}


DRAWING = threading.RLock()
"""Held while a figure is drawn: matplotlib's settings, and its fonts, are shared by all threads."""


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function under the project's style, leaving matplotlib's own settings alone."""

    @functools.wraps(draw)
    def under_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with DRAWING, mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return under_style


def new_figure(width: float, height: float, *, square: bool = False) -> Figure:
    """Return an empty figure with automatic layout; its sides are in inches.

    Its panels are square, or fill the figure.
    """
    return Figure(figsize=(width, height), layout="compressed" if square else "constrained")


def panels_across(count: int) -> int:
    """Return how many of `count` small panels stand side by side.

    >>> [panels_across(count) for count in (1, 3, 4, 6, 8, 10)]
    [1, 3, 2, 3, 4, 5]
    """
    if count <= 3:
        return count
    return next((across for across, most in ((2, 4), (3, 6), (4, 8)) if count <= most), 5)


def color(index: int) -> str:
    """Return the colour of a data set or run by its number."""
    return COLORS[index % len(COLORS)]


def marker(index: int) -> str:
    """Return the marker of a data set or run by its number.

    The ninth takes the first's colour but not its marker, so that 64 differ in one or the other.
    """
    return MARKERS[(index + index // len(COLORS)) % len(MARKERS)]


def shortened(name: str, length: int = 24) -> str:
    """Return a name of at most `length` characters; a long one keeps both its ends.

    >>> shortened("koniq"), shortened("LIVE in the Wild Challenge", 15)
    ('koniq', 'LIVE in…allenge')
    """
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half].rstrip()}…{name[-half:].lstrip()}"


def wrapped(name: str, width: int, lines: int = 2) -> str:
    r"""Return a name broken into at most `lines` lines of at most `width` characters.

    >>> wrapped("LIVE in the Wild Challenge", 15)
    'LIVE in the\nWild Challenge'
    """
    parts = textwrap.wrap(name, width) or [""]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], shortened(" ".join(parts[lines - 1 :]), width)]
    return "\n".join(parts)


def signed(value: float | None) -> str:
    """Return a value as tables show it, with a minus sign as wide as a digit."""
    return number(value).replace("-", "\N{MINUS SIGN}")


def slant_labels(axes: Axes, rotation: float = 40) -> None:
    """Turn the labels of the x axis so that long names do not overlap."""
    for text in axes.get_xticklabels():
        text.set(rotation=rotation, ha="right", rotation_mode="anchor")


def separate_columns(axes: Axes, count: int) -> None:
    """Give each of `count` names on the x axis a column of its own."""
    axes.set_xlim(-0.5, count - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    for place in range(1, count):
        axes.axvline(place - 0.5, color=FAINT, linewidth=0.6, zorder=0)


def save_figure(figure: Figure, path: Path, dpi: int = 200) -> Path:
    """Write a figure atomically and return its path.

    Args:
        figure: The figure.
        path: Where to write; its suffix, one of `FORMATS`, is the format.
        dpi: Pixels per inch of a PNG, and of images and scatter plots inside the other formats.

    Raises:
        ValueError: The suffix is none of them.
    """
    file_format = path.suffix.removeprefix(".")
    if file_format not in FORMATS:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(FORMATS)}")
    dated = {"pdf": "CreationDate", "svg": "Date"}.get(file_format)
    metadata = {dated: None} if dated else {}  # equal input, equal bytes
    _make_printable(figure)
    with mpl.rc_context(STYLE), atomic_open(path, "wb") as file:
        figure.savefig(file, format=file_format, dpi=dpi, metadata=metadata)
    return path


def _make_printable(figure: Figure) -> None:
    """Show every text of a figure literally: file names may hold characters that fonts lack.

    Bytes that are no UTF-8 become escapes, and ``$`` is a letter, not the start of a formula.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _make_labels_printable(axis.get_major_formatter())
    for text in figure.findobj(Text):
        shown = text.get_text()
        if not shown.startswith(OF_LOG_SCALE):
            text.set_text(_letters(shown))


def _make_labels_printable(formatter: Formatter) -> None:
    """Do the same for tick labels, which are created when the axis is drawn."""
    if not isinstance(formatter, (FixedFormatter, FuncFormatter)):
        return  # matplotlib's own, of numbers
    format_ticks = formatter.format_ticks

    def format_printable(values: list[float]) -> list[str]:
        return [_letters(label) for label in format_ticks(values)]

    formatter.format_ticks = format_printable  # type: ignore[method-assign]


def _letters(text: str) -> str:
    """Return a text in which ``$`` is a letter; one that is escaped already stays so."""
    return re.sub(r"(?<!\\)\$", r"\\$", printable(text))


def printable(name: str) -> str:
    r"""Return a text with escapes in the place of bytes that are no UTF-8.

    >>> printable(b"caf\xe9".decode("utf-8", "surrogateescape"))
    'caf\\udce9'
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
