"""Profiles as tables and files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cliqa.compress.profile import Subject
from cliqa.deploy.profiling import Profile
from cliqa.evaluation.records.tables import Table, number, render
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json, write_text

SUFFIXES = (".json", ".csv", ".md")


def parameter_table(subjects: Sequence[Subject]) -> Table:
    """Return a line a part of every model: its parameters, and sizes in MiB."""
    rows = [row for subject in subjects for row in _parameter_rows(subject)]
    header = ("model", "part", "parameters", "trainable", "weights MiB", "file MiB")
    return Table("Parameters", header, tuple(rows))


def _parameter_rows(subject: Subject) -> Iterator[tuple[str, ...]]:
    """Yield the lines of one model."""
    for part, (every, trained) in subject.parameters.items():
        sizes = ("", "")
        if part == "total":
            sizes = (_mib(subject.weight_bytes), _mib(subject.file_bytes))
        yield subject.name, part, f"{every:,}", f"{trained:,}", *sizes


def _mib(count: int | None) -> str:
    """Return bytes in MiB."""
    return number(None if count is None else count / 2**20, 2)


def profile_table(rows: Sequence[Profile]) -> Table:
    """Return a line a model and size."""
    header = (
        "model",
        "backend",
        "batch",
        "H x W",
        "GMACs",
        "GFLOPs",
        "p50 ms",
        "p95 ms",
        "CPU ms",
        "images/s",
        "peak MiB",
    )
    cells = [
        (
            row.name,
            row.backend,
            str(row.batch),
            f"{row.height} x {row.width}",
            number(row.gmacs, 4),
            number(row.gflops, 4),
            *(number(value, 2) for value in (row.p50_ms, row.p95_ms, row.cpu_ms)),
            number(row.images_per_s, 1),
            number(row.peak_mib, 0),
        )
        for row in rows
    ]
    where = {f"{row.device}, {row.threads} thread(s)" for row in rows}
    title = f"One forward pass ({'; '.join(sorted(where))}); MACs and FLOPs of one image"
    return Table(title, header, tuple(cells))


def check_report(path: Path) -> None:
    """Raise a ConfigError if a report cannot have this name."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"--out {path}: the name must end in {', '.join(SUFFIXES)}.")


def write_report(path: Path, subjects: Sequence[Subject], rows: Sequence[Profile]) -> None:
    """Write a profile atomically.

    Args:
        path: ``.json`` (everything, unrounded), ``.csv`` (a line a size, unrounded) or ``.md`` (the
            tables).
        subjects: The models.
        rows: What was measured of them.

    Raises:
        ConfigError: The suffix is another.
    """
    check_report(path)
    if path.suffix == ".json":
        models = {subject.name: _facts(subject) for subject in subjects}
        write_json(path, {"models": models, "rows": [row.to_row() for row in rows]})
    elif path.suffix == ".csv":
        text = io.StringIO()
        names = [field.name for field in fields(Profile)]
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(row.to_row() for row in rows)
        write_text(path, text.getvalue())
    else:
        tables = (parameter_table(subjects), profile_table(rows))
        write_text(path, "\n".join(render(table, "markdown") for table in tables))


def _facts(subject: Subject) -> dict[str, Any]:
    """Return a model's sizes as plain values."""
    return {
        "parameters": {
            part: {"all": every, "trainable": trained}
            for part, (every, trained) in subject.parameters.items()
        },
        "weight_bytes": subject.weight_bytes,
        "checkpoint_bytes" if subject.exported is None else "file_bytes": subject.file_bytes,
        "crops": subject.crops,
    }
