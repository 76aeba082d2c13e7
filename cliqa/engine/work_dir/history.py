"""A run's ``metrics.jsonl``: rows are appended, and a resume cuts it to those of its checkpoint.

A checkpoint counts the rows and does not hold them, so that its size does not grow with the stream.
Rows are on the disk before the checkpoint that counts them; what a killed run has written after its
checkpoint, a half line too, goes when the run is resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliqa.utils.errors import CheckpointError
from cliqa.utils.io import named_error, to_json, write_jsonl

Row = dict[str, Any]

FILE_NAME = "metrics.jsonl"

KINDS = ("epoch", "eval")
"""Kinds of the rows that a checkpoint counts; rows of other kinds are the plugins'."""


class History:
    """The rows of a run, and the file that they are written to.

    Attributes:
        epochs: A row an epoch.
        evaluations: A row a step and data set.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.epochs: list[Row] = []
        self.evaluations: list[Row] = []
        self._restored: list[Row] = []
        self._found: list[Row] = []
        self._written = (0, 0)

    def restore(self, rows: Sequence[Row]) -> None:
        """Take over the rows of a checkpoint, as `read_rows` returns them."""
        self._restored = list(rows)
        self.epochs[:], self.evaluations[:] = ([r for r in rows if r["kind"] == k] for k in KINDS)

    def counts(self) -> dict[str, Any]:
        """Return how many rows of each kind there are, for a checkpoint, and about what."""
        return {
            "epochs": len(self.epochs),
            "evaluations": len(self.evaluations),
            "datasets": list(dict.fromkeys(row["dataset"] for row in self.evaluations)),
        }

    def begin(self) -> None:
        """Write the file anew, with the rows of the checkpoint alone."""
        write_jsonl(self._path, self._restored)
        self._done([row for row in self._restored if row["kind"] not in KINDS])

    def rewrite(self, found: Sequence[Row]) -> None:
        """Write the file anew with all rows, in the order in which they would have come.

        Args:
            found: The rows of the plugins so far.
        """
        parts = enumerate((found, self.epochs, self.evaluations))
        keyed = [((row.get("experience", 0), place), row) for place, part in parts for row in part]
        write_jsonl(self._path, [row for _, row in sorted(keyed, key=lambda pair: pair[0])])
        self._done(found)

    def append(self, found: Sequence[Row]) -> None:
        """Append the new rows, and wait until the disk has them.

        A plugin that has changed an earlier row of its own has the file written anew.
        """
        if list(found[: len(self._found)]) != self._found:
            self.rewrite(found)
            return
        epochs, evaluations = self._written
        new = [*found[len(self._found) :], *self.epochs[epochs:], *self.evaluations[evaluations:]]
        if not new:
            return
        with named_error(self._path), self._path.open("ab") as file:
            file.write("".join(f"{to_json(row)}\n" for row in new).encode())
            file.flush()
            os.fsync(file.fileno())
        self._done(found)

    def _done(self, found: Sequence[Row]) -> None:
        """Note what is written."""
        self._found, self._written = list(found), (len(self.epochs), len(self.evaluations))


def read_rows(checkpoint: Path, state: Mapping[str, Any]) -> list[Row]:
    """Return the rows that a checkpoint counts, from the ``metrics.jsonl`` of its run.

    Args:
        checkpoint: The file, in the run's folder of checkpoints.
        state: Its content.

    Raises:
        CheckpointError: Rows are missing.
    """
    counts, step = state["history"], state["next_step"]
    if not counts["epochs"] and not counts["evaluations"]:
        return []
    path = checkpoint.parent.parent / FILE_NAME
    rows = _whole_lines(path)
    epochs = [row for row in rows if row["kind"] == "epoch"][: counts["epochs"]]
    evaluations = [
        row
        for row in rows
        if row["kind"] == "eval"
        and row.get("experience", step) < step
        and row.get("dataset") in counts["datasets"]  # others came later, as the stream grew
    ]
    lacking = [len(epochs), len(evaluations)] != [counts["epochs"], counts["evaluations"]]
    if lacking:
        raise CheckpointError(
            f"{checkpoint}: {path} does not hold its history ({len(epochs)} of "
            f"{counts['epochs']} epochs, {len(evaluations)} of {counts['evaluations']} "
            "evaluations). Put the run's own file there, or start from the weights alone: "
            f"--cfg-options load_from={checkpoint}."
        )
    last = max(step - 1, *(row.get("experience", 0) for row in epochs), -1)
    own = {id(row) for row in (*epochs, *evaluations)}
    return [
        row
        for row in rows
        if id(row) in own or (row["kind"] not in KINDS and row.get("experience", 0) <= last)
    ]


def _whole_lines(path: Path) -> list[Row]:
    """Return the rows of a file up to the first damaged line; none of a file that is missing."""
    rows: list[Row] = []
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return rows
    for line in lines:
        try:
            row = json.loads(line)
            if not isinstance(row.get("experience", 0), int):
                break
            rows.append({**row, "kind": str(row["kind"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            break
    return rows
