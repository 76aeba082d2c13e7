"""A study's results as pandas tables and as its figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cliqa.evaluation.records.study import LabelStudy, Study
from cliqa.evaluation.records.study_file import is_label_study, load_study
from cliqa.evaluation.records.study_tables import (
    deployed_table,
    difference_table,
    label_rows,
    study_table,
)
from cliqa.evaluation.records.table_styles import Table
from cliqa.visualization.study import draw_label_study, draw_study


@dataclass(frozen=True)
class StudyResults:
    """What a study has found.

    Attributes:
        folder: The study's folder.
        content: The content of its ``study.json``, or of its ``label_study.json``.
    """

    folder: Path
    content: Study | LabelStudy

    @property
    def notes(self) -> list[str]:
        """What the numbers should be read with: runs that have not finished, among others."""
        return [str(note) for note in self.content.get("notes", ())]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The study's tables for people, text cells, by their titles."""
        if is_label_study(self.content):
            found: list[Table | None] = [label_rows(self.content)]
        else:
            study = self.content
            found = [study_table(study), difference_table(study), deployed_table(study)]
        return {table.title: _frame(table) for table in found if table is not None}

    @property
    def values(self) -> pd.DataFrame:
        """Every mean with its 95 % interval.

        Columns: ``config``, ``column`` (``msrcc``, ``forgetting`` ...; of a study over numbers of
        labelled images that number), ``mean``, ``low`` and ``high``.
        """
        rows: list[tuple[Any, ...]] = []
        for row in self.content["rows"]:
            if is_label_study(self.content):
                names = (self.content["baseline"], self.content["other"], "difference")
                found = [(name, row["images"], row[name]) for name in names]
            else:
                found = [(row["config"], name, column) for name, column in row["columns"].items()]
            rows += [(*keys, c["mean"], c["low"], c["high"]) for *keys, c in found]
        columns = ["config", "column", "mean", "low", "high"]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], float))

    def figure(self) -> Figure:
        """Draw the study."""
        draw = draw_label_study if is_label_study(self.content) else draw_study
        return draw(self.content)


def study_results(folder: str | Path) -> StudyResults:
    """Return the results of a study, finished or not.

    Args:
        folder: The study's folder, ``--out`` of its command.

    Raises:
        ArtifactError: The folder holds no study, or it is damaged.
    """
    return StudyResults(Path(folder), load_study(folder))


def _frame(table: Table) -> pd.DataFrame:
    """Return a table of text cells; an empty head stays empty."""
    return pd.DataFrame(list(table.rows), columns=list(table.header))
