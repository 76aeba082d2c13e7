"""Data sets in files that other projects publish: the scale of their scores, and what is odd."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import DatasetError

Spread = Literal["std", "variance", "ratings"]
"""What a file's column of deviations holds: the standard deviation in the units of the scores, its
square, or the standard deviation in the units of the ratings."""

KONIQ_RATINGS = {f"c{k}": 25.0 * (k - 1) for k in range(1, 6)}
"""KonIQ-10k's ratings 1..5 in the units of its MOS of 0..100."""

AVA_RATINGS = {f"c{k}": float(k) for k in range(1, 11)}

PER_RATING = 25.0
"""KonIQ-10k's units of the MOS of 0..100 in one step of the ratings 1..5."""


@dataclass(frozen=True)
class KnownSet:
    """What is known of a data set in a published label file.

    Attributes:
        identity: The name space of its images.
        score_range: The (low, high) that a score can have in this file.
        higher_is_better: The direction of the scores in this file.
        reference: A pattern whose first group, at the beginning of an image's file name, is its
            reference image; empty where the names do not tell it.
        spread: What the column of deviations holds.
        votes: The rating that each column counts, in the units of the score.
        exact: The score is the mean of the votes: the file's own is rounded.
        practice: A pattern of the images that the raters practised on, which are left out.
    """

    identity: str
    score_range: tuple[float, float]
    higher_is_better: bool = True
    reference: str = ""
    spread: Spread = "std"
    votes: Mapping[str, float] = field(default_factory=dict)
    exact: bool = False
    practice: str = ""

    def applied(self, table: ScoreTable) -> ScoreTable:
        """Return a file's table with references, with deviations in the units of the scores.

        Raises:
            DatasetError: A variance is negative.
        """
        names = [posixpath.basename(image.replace("\\", "/")) for image in table.images]
        if self.practice:
            rated = [k for k, name in enumerate(names) if not re.fullmatch(self.practice, name)]
            table, names = table.take(rated), [names[k] for k in rated]
        if table.std is not None:
            table = replace(table, std=self._deviations(table, table.std))
        found = [re.match(self.reference, name) for name in names] if self.reference else []
        if table.groups is None and found and all(found):
            table = replace(table, groups=tuple(match[1].upper() for match in found if match))
        return table

    def _deviations(self, table: ScoreTable, column: np.ndarray) -> np.ndarray:
        """Return the standard deviations (N,) that a column of this set means."""
        if self.spread == "ratings":
            return column * PER_RATING
        if self.spread == "std":
            return column
        bad = np.flatnonzero(~(column >= 0.0))
        if bad.size:
            raise DatasetError(
                f"{table.where(bad[0])}: the variance is {column[bad[0]]:g}; it must be at least "
                "0. Use the published file."
            )
        return np.sqrt(column)


CSIQ_REFERENCE = r"([^.]+)\.\w+\.\d+\."
KADID_REFERENCE = r"(I\d+)_\d+_\d+\."
TID_REFERENCE = r"([Ii]\d+)_\d+_\d+\."
PIPAL_REFERENCE = r"(A\d+)_\d+_\d+\."

BID = KnownSet("bid", (0, 5))
LIVEC = KnownSet("livec", (0, 100))
KONIQ = KnownSet("koniq", (0, 100), spread="ratings", votes=KONIQ_RATINGS)
KONIQ_MEAN = KnownSet("koniq", (1, 5))
KADID = KnownSet("kadid", (1, 5), reference=KADID_REFERENCE)
PIPAL = KnownSet("pipal", (850, 1900), reference=PIPAL_REFERENCE)

SETS_OF_BIQA_CL = {
    "live": KnownSet("live", (0, 115)),
    "csiq": KnownSet("csiq", (0, 1), reference=CSIQ_REFERENCE),
    "bid": BID,
    "clive": LIVEC,
    "koniq10k": KONIQ_MEAN,
    "kadid10k": KADID,
}
"""By the beginning of the file's name. LIVE's and CSIQ's DMOS are inverted: higher is better."""

SETS_OF_TEXT_LISTS = {
    "csiq": KnownSet("csiq", (0, 1), higher_is_better=False, reference=CSIQ_REFERENCE),
    "kadid10k": KADID,
    "koniq10k": KONIQ_MEAN,
    "pipal": PIPAL,
    "tid2013": KnownSet("tid2013", (0, 9), reference=TID_REFERENCE),
}
"""By the beginning of the file's name."""

SETS_OF_PYIQA = {
    "AVA": KnownSet("ava", (1, 10), votes=AVA_RATINGS, exact=True),
    "CSIQ": KnownSet("csiq", (0, 1), higher_is_better=False),
    "FLIVE": KnownSet("flive", (0, 100)),
    "KADID10k": replace(KADID, spread="variance"),
    "KonIQ10k": KONIQ,
    "KonIQ10k++": KONIQ_MEAN,
    "LIVEChallenge": KnownSet("livec", (0, 100), practice=r"t\d\.bmp"),
    "LIVEIQA": KnownSet("live", (0, 100), higher_is_better=False),
    "LIVEMD": KnownSet("livemd", (0, 100), higher_is_better=False),
    "PIPAL": PIPAL,
    "SPAQ": KnownSet("spaq", (0, 100)),
    "TID2008": KnownSet("tid2008", (0, 9)),
    "TID2013": KnownSet("tid2013", (0, 9)),
}
"""By what stands in ``meta_info_...Dataset.csv``. LIVE's column ``mos`` is its DMOS (lower is
better), KADID-10k's ``dmos`` its MOS (higher is better), and its ``std`` the variance."""
