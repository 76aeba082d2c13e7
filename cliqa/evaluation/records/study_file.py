"""``study.json`` and ``label_study.json``: read from a study's folder, and their form checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cliqa.evaluation.records.results import read_artifact
from cliqa.evaluation.records.study import LabelStudy, Study
from cliqa.utils.errors import ArtifactError

STUDY, LABEL_STUDY = "study.json", "label_study.json"

NUMBERS = ("mean", "low", "high")


def load_study(folder: str | Path) -> Study | LabelStudy:
    """Read the ``study.json`` of a folder, or its ``label_study.json``; see `is_label_study`.

    Raises:
        ArtifactError: There is none, it is no JSON, or lacks a part.
    """
    folder = Path(folder)
    name = LABEL_STUDY if (folder / LABEL_STUDY).is_file() else STUDY
    advice = "A study writes it when a run has finished; is this the folder of a study?"
    path, content = read_artifact(folder, name, advice)
    is_labels = name == LABEL_STUDY
    parts = {"measure": str, "final": str, "rows": list}
    parts |= {"baseline": str, "other": str} if is_labels else {"replicates": list, "notes": list}
    for key, kind in parts.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise ArtifactError(f"{path}: '{key}' is missing, or no {kind.__name__}.")
    if not content["rows"]:
        raise ArtifactError(f"{path}: 'rows' is empty.")
    for index, row in enumerate(content["rows"]):
        if not isinstance(row, dict) or not _is_row(row, content, is_labels):
            raise ArtifactError(f"{path}: row {index} lacks a part.")
    if is_labels:
        return content
    for key in ("first", "naive", "joint"):
        content.setdefault(key, None)
    return {"differences": [], "labels": {}, **content}


def is_label_study(study: Mapping[str, Any]) -> bool:
    """Return whether a study compares numbers of labelled images."""
    return "baseline" in study


def _is_row(row: Mapping[str, Any], study: Mapping[str, Any], is_labels: bool) -> bool:
    """Return whether a row has its parts."""
    if is_labels:
        names = (study["baseline"], study["other"], "difference")
        has_counts = {"images", "seeds"} <= row.keys()
        return has_counts and all(_is_column(row.get(name)) for name in names)
    columns = row.get("columns")
    if not isinstance(columns, dict) or not columns or not {"config", "runs"} <= row.keys():
        return False
    return all(map(_is_column, columns.values()))


def _is_column(column: object) -> bool:
    """Return whether a column has its values, and a mean with its interval."""
    return isinstance(column, dict) and {"values", *NUMBERS} <= column.keys()
