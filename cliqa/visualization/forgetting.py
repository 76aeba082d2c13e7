"""What each data set has lost since it was learnt."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cliqa.evaluation.records.results import Results, main_measure
from cliqa.evaluation.records.tables import LABELS, number
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import FAINT, INK, MUTED, PAGE, color, new_figure, shortened, styled

BANDED = "bar: 95 % interval"


@styled
def draw_forgetting(results: Results) -> Figure:
    """Draw every data set's score right after it was learnt, and at the end of the run.

    The number beside a line is the change; their mean over all but the last data set is backward
    transfer (BWT). The title has the forgetting since the best score, too.

    Args:
        results: The content of ``results.json``.

    Raises:
        ArtifactError: The run has learnt fewer than two experiences one after the other.
    """
    measure = main_measure(results)
    scores = np.array(results["matrix"][measure], dtype=float)  # (T, K), None -> NaN
    count = min(scores.shape)
    if results.get("joint") or count < 2:
        raise ArtifactError("forgetting needs two experiences learnt one after the other.")
    bands = results["interval"].get(measure)
    figure = new_figure(PAGE * 0.8, 1.1 + 0.32 * count)
    axes = figure.add_subplot()
    for k in range(count):
        band = bands[-1][k] if bands else None
        _draw_change(axes, k, scores[k, k], scores[-1, k], band, is_last=k == count - 1)
    names = [shortened(name, 26) for name in results["datasets"][:count]]
    axes.set_yticks(range(count), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlabel(f"{LABELS.get(measure, measure)} (higher is better)")
    axes.grid(axis="x")
    summary = results["summary"]
    axes.set_title(
        f"forgetting {_signed(summary.get('forgetting'))}    BWT {_signed(summary.get('bwt'))}",
        loc="left",
    )
    axes.text(1.02, 1.0, "change", transform=axes.transAxes, va="bottom", size=7.5, color=MUTED)
    handles = [
        Line2D([], [], marker="o", color=MUTED, linestyle="", markerfacecolor="white"),
        Line2D([], [], marker="o", color=MUTED, linestyle="-"),
    ]
    final = f"at the end ({BANDED})" if bands else "at the end"
    figure.legend(handles, ["just learnt", final], loc="outside lower center", ncols=2)
    return figure


def _draw_change(
    axes: Axes, k: int, learnt: float, final: float, band: list[float] | None, *, is_last: bool
) -> None:
    """Draw one data set's two scores and what lies between them."""
    own = color(k)
    axes.axhline(k, color=FAINT, linewidth=0.6, zorder=0)
    if band:
        axes.plot(band, [k, k], color=own, alpha=0.3, linewidth=5, solid_capstyle="butt")
    axes.plot([learnt, final], [k, k], color=own, linewidth=1.6)
    axes.plot([learnt], [k], "o", color=own, markerfacecolor="white", markersize=6.5)
    axes.plot([final], [k], "o", color=own, markersize=5)
    change = None if np.isnan(final - learnt) else final - learnt
    text = "last" if is_last else _signed(change)
    ink = MUTED if is_last or change is None else INK
    place = axes.get_yaxis_transform()
    axes.text(1.02, k, text, transform=place, va="center", size=7.5, color=ink)


def _signed(value: float | None) -> str:
    """Return a value with a minus as long as a digit is wide."""
    return number(value).replace("-", "\N{MINUS SIGN}")
