"""A data set whose files are gone: it keeps its place in a stream that goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.labels.table import ScoreTable


class AbsentDataset(QualityDataset):
    """The place of a data set that was learnt before and can no longer be read.

    It has no image in any split: nothing is trained on it or tested on it.

    Args:
        name: The data set's name.
        reason: Why it cannot be read.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        self.score_range = (0.0, 1.0)
        self.higher_is_better = True
        self.split_name = "all"
        self.transform = None
        self._fill(ScoreTable((), np.zeros(0), (), Path(name), splits=()), [], [])
        self.score_warnings = (f"{name}: not there any more, so it is not evaluated: {reason}",)
