"""Deployments of one model: quality against size and speed."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.deploy.search.pareto import RecipeResult
from cliqa.deploy.search.recipes import PRECISIONS
from cliqa.visualization.style import INK, MUTED, PAGE, color, marker, new_figure, styled

ORDER = ("fp32", "fp16", "bf16", "int8", "int8-bf16")
"""Precisions in the order of their colours."""


WIDE = 4
"""Ratios whose greatest is this many times their least are drawn over powers of two."""


@styled
def draw_pareto(
    rows: Sequence[RecipeResult],
    front: Sequence[RecipeResult],
    best: RecipeResult | None,
    measure: str,
) -> Figure:
    """Draw the change of quality of every recipe over its size and over its speed.

    Args:
        rows: All rows; those that were not measured are left out.
        front: Those that no other one beats: they are filled.
        best: The chosen one, encircled; None for none.
        measure: What quality is ("SRCC").
    """
    figure = new_figure(PAGE, 3.6)
    left, right = figure.subplots(1, 2, sharey=True)
    measured = [row for row in rows if row.valid]
    for axes in (left, right):
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=":")
        axes.grid()
        axes.margins(0.15)
    _set_scale(left, [float(row.smaller or 1) for row in measured])
    _set_scale(right, [float(row.faster or 1) for row in measured])
    for row in measured:
        _draw(left, float(row.smaller or 1), row, row in front, row == best)
        _draw(right, float(row.faster or 1), row, row in front, row == best)
    left.set_xlabel("times smaller (file bytes)")
    right.set_xlabel("times faster (CPU time)")
    left.set_ylabel(f"change of {measure}")
    _legend(figure, measured)
    return figure


def _set_scale(axes: Axes, ratios: Sequence[float]) -> None:
    """Fit the axis to the ratios: powers of two where they span several, else even steps."""
    if max(ratios, default=1) >= WIDE * min(ratios, default=1):
        axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw(axes: Axes, place: float, row: RecipeResult, on_front: bool, is_best: bool) -> None:
    """Draw one recipe; the share of pruned channels stands beside it."""
    shade = color(ORDER.index(row.recipe.precision))
    height = -(row.drop or 0.0)
    axes.plot(
        place,
        height,
        marker(list(PRECISIONS).index(row.recipe.backend)),
        color=shade,
        markerfacecolor=shade if on_front else "white",
        markersize=6,
        zorder=3,
    )
    if is_best:
        axes.plot(place, height, "o", color=INK, markerfacecolor="none", markersize=12)
    if row.recipe.pruning:
        text = f"{100 * row.recipe.pruning:g} %"
        # backends often fall on one point: each has a corner of its own for the text
        below = row.recipe.backend == "openvino"
        offset, sides = ((-6, -5), ("right", "top")) if below else ((6, 5), ("left", "bottom"))
        axes.annotate(
            text,
            (place, height),
            offset,
            textcoords="offset points",
            fontsize=6.5,
            horizontalalignment=sides[0],
            verticalalignment=sides[1],
        )


def _legend(figure: Figure, rows: Sequence[RecipeResult]) -> None:
    """Say what colours and markers stand for, of what is drawn."""
    axes = figure.axes[0]
    precisions = {row.recipe.precision for row in rows}
    backends = {row.recipe.backend for row in rows}
    handles = [
        *(
            axes.plot([], [], "s", color=color(ORDER.index(name)), label=name)[0]
            for name in ORDER
            if name in precisions
        ),
        *(
            axes.plot([], [], marker(k), color=MUTED, markerfacecolor="white", label=name)[0]
            for k, name in enumerate(PRECISIONS)
            if name in backends
        ),
        axes.plot([], [], "o", color=MUTED, label="not beaten")[0],
        axes.plot([], [], "o", color=INK, markerfacecolor="none", markersize=10, label="chosen")[0],
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)))
