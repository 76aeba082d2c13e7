"""Reports on data sets' folders in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cliqa.datasets.folders.report import Report, Scores

_SHOWN = 5
_WIDEST = 200

HEADER = ("folder", "data set", "images", "missing", "extra", "unreadable", "copies", "scores")
"""The columns of `summary_rows`."""


def text_lines(report: Report) -> list[str]:
    """Return a report in words, a line each, under the folder's name."""
    what = report.kind or "no known data set"
    also = f" (or {', '.join(report.others)})" if report.others else ""
    lines = [f"{report.root}: {what}{also}"]
    if report.scores is not None:
        lines += [f"  {name:<10} {text}" for name, text in _facts(report, report.scores)]
    lines += [f"  {'note':<10} {text}" for text in report.notes]
    lines += [f"  {'wrong':<10} {text}" for text in report.mistakes]
    return lines


def _facts(report: Report, scores: Scores) -> list[tuple[str, str]]:
    """Return what is known of a data set that was read."""
    of = f" of {report.official}" if report.official else ""
    low, high = scores.declared
    better = "higher" if scores.higher_is_better else "lower"
    splits = ", ".join(f"{split} {count}" for split, count in report.splits.items())
    sizes = [f"{size} ({count})" for size, count in report.sizes.items()]
    return [
        ("labels", report.labels),
        ("images", f"{report.rated}{of} rated in {report.images}"),
        ("missing", _some(report.missing)),
        ("extra", _some(report.extra)),
        ("unreadable", f"{_some(report.unreadable, 1)} ({report.looked_at} looked at)"),
        ("sizes", ", ".join(sizes[:_SHOWN]) + (", ..." if len(sizes) > _SHOWN else "")),
        (
            "scores",
            f"{scores.least:.6g}..{scores.most:.6g} in {low:g}..{high:g}, {better} is better; mean "
            f"{scores.mean:.6g}, deviation {scores.std:.4g}{', std of each' if report.std else ''}",
        ),
        ("histogram", f"{' '.join(map(str, scores.histogram))} (equal parts of {low:g}..{high:g})"),
        ("ties", f"{scores.tied} images share a score; {scores.distinct} different ones"),
        ("groups", "none" if report.groups is None else str(report.groups)),
        ("splits", f"{splits} ({'drawn' if report.drawn else 'by the files'})"),
        ("copies", _copies(report)),
        ("config", report.config),
    ]


def _copies(report: Report) -> str:
    """Return the groups of equal files in words."""
    groups = [" = ".join(group[:_SHOWN]) for group in report.copies]
    apart = f"; {report.leaks} groups are in several splits" if report.leaks else ""
    return _some(groups) + apart


def _some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """Return how many names there are, and the first of them."""
    if not names:
        return "0"
    text = ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")
    return f"{len(names)}: {text if len(text) <= _WIDEST else f'{text[:_WIDEST]}...'}"


def summary_rows(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """Return a row of a table for each folder, under `HEADER`."""
    rows = []
    for one in reports:
        name = Path(one.root).name
        if one.scores is None:
            rows.append((name, one.kind or "unknown", *["-"] * (len(HEADER) - 2)))
            continue
        counts = (one.rated, len(one.missing), len(one.extra), len(one.unreadable), len(one.copies))
        better = "higher" if one.scores.higher_is_better else "lower"
        scores = f"{one.scores.least:.4g}..{one.scores.most:.4g} {better}"
        rows.append((name, one.kind, *map(str, counts), scores))
    return rows
