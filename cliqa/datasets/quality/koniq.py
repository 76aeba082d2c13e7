"""KonIQ-10k, photographs with authentic distortions (Hosu et al., IEEE TIP 2020)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cliqa.config.annotations import TwoNumbers
from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.sheet import Sheet
from cliqa.datasets.labels.table import SPLITS, ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.datasets.splits import with_known_splits
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

Score = Literal["mos", "distribution"]
_SHARES = ("c1", "c2", "c3", "c4", "c5")
_RATINGS = np.arange(1.0, 6.0)
_MOS_UNITS_PER_RATING = 25.0  # 0..100 over 1..5


def read_koniq(path: Path, score: Score = "mos") -> ScoreTable:
    """Read an official label file, with the ratings' standard deviation in the units of the score.

    Args:
        path: The file; the split is read if it has one.
        score: ``"mos"``: the MOS of 0..100, in the column MOS_zscore, or MOS where there is none.
            ``"distribution"``: the mean of the ratings 1..5, from their shares c1 to c5.

    Raises:
        ConfigError: `score` is unknown.
        DatasetError: The file is wrong, or the shares of a row do not sum to 1.
    """
    if score not in ("mos", "distribution"):
        raise ConfigError(f"KonIQ-10k: score must be 'mos' or 'distribution', got {score!r}.")
    sheet = read_csv(path, ("image_name", "MOS"))
    shares = (
        _read_shares(sheet)
        if score == "distribution" or set(_SHARES) <= set(sheet.columns)
        else None
    )
    std = sheet.numbers("SD") if "SD" in sheet.columns else None
    ratings = _RATINGS
    if score == "distribution" and shares is not None:
        raw = shares @ _RATINGS
    else:
        raw = _read_mos(sheet, shares)
        if not _are_ratings(raw):
            ratings = (_RATINGS - _RATINGS[0]) * _MOS_UNITS_PER_RATING
            if std is not None:
                with np.errstate(over="ignore"):  # an infinite one is refused with the others
                    std = std * _MOS_UNITS_PER_RATING
    table = ScoreTable(
        images=tuple(sheet.text("image_name")),
        raw=raw,
        std=std,
        splits=tuple(sheet.text("set")) if "set" in sheet.columns else None,
        rows=sheet.rows,
        source=path,
        shares=shares,
        ratings=() if shares is None else tuple(ratings.tolist()),
    )
    return with_known_splits(table)


def _are_ratings(raw: np.ndarray) -> bool:
    """Return whether scores are means of the ratings 1..5, as some copies of the file have them."""
    return bool(np.all((raw >= _RATINGS[0]) & (raw <= _RATINGS[-1])))


def _read_shares(sheet: Sheet) -> np.ndarray:
    """Return the shares of the ratings 1..5, (N, 5), from shares or from counts."""
    shares = np.stack([sheet.numbers(name) for name in _SHARES], axis=1)
    sums = shares.sum(axis=1)
    expected = np.ones_like(sums)
    if "c_total" in sheet.columns and np.median(sums) > 1.5:  # counts, not shares
        expected = sheet.numbers("c_total")
    wrong = ~(np.abs(sums / np.maximum(expected, 1e-9) - 1.0) <= 1e-3) | ~(shares >= 0.0).all(
        axis=1
    )
    bad = np.flatnonzero(wrong)
    if bad.size:
        raise DatasetError(
            f"{sheet.where(bad[0])}: the shares c1 to c5 sum to {sums[bad[0]]:g}, not to "
            f"{expected[bad[0]]:g}, or one is negative. Use the official file."
        )
    return shares / sums[:, None]


def _read_mos(sheet: Sheet, shares: np.ndarray | None) -> np.ndarray:
    """Return the MOS of 0..100."""
    if "MOS_zscore" in sheet.columns:
        return sheet.numbers("MOS_zscore")
    raw = sheet.numbers("MOS")
    if shares is not None and np.allclose(raw, shares @ _RATINGS, atol=0.01):
        raise DatasetError(
            f"{sheet.source}: 'MOS' holds means of the ratings 1..5, not the MOS of 0..100, and "
            "there is no 'MOS_zscore'. Set score='distribution' in the data set's config."
        )
    return raw


@DATASETS.register_module()
class KonIQ10k(LabelledFolder):
    """KonIQ-10k: 10 073 photographs with about 120 ratings each, higher is better.

    The official layout::

        root/
            koniq10k_distributions_sets.csv   or koniq10k_scores_and_distributions.csv
            1024x768/<image_name>             or 512x384/<image_name>

    The first label file has the official split (7058 / 1000 / 2015); the second has none, which is
    logged, and gets a seeded one. Where both image folders exist, 1024x768 is read: set
    ``images="512x384"`` for the other.

    Args:
        root: The data set's folder.
        score: ``"mos"``: the published MOS, 0..100. ``"distribution"``: the mean rating, 1..5
            (their correlation is 0.995).
        score_range: The declared (low, high) of the raw scores, instead of the official one.
        common: As `LabelledFolder`.
    """

    default_name = "koniq"
    label_files = ("koniq10k_distributions_sets.csv", "koniq10k_scores_and_distributions.csv")
    image_folders = ("1024x768", "512x384")
    official_range = (0.0, 100.0)
    official_count = 10073

    def __init__(
        self,
        root: str | Path,
        score: Score = "mos",
        score_range: TwoNumbers | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.score = score
        score_range = self.declared_range(score_range, score=score)
        super().__init__(root, score_range=score_range, **common)

    @classmethod
    def declared_range(
        cls, score_range: TwoNumbers | None = None, **options: object
    ) -> tuple[float, float]:
        """Return the range of the raw scores, which depends on `score`."""
        if options.get("score") == "distribution" and score_range is None:
            return 1.0, 5.0
        return super().declared_range(score_range, **options)

    @classmethod
    def official_sizes(cls, **_: Any) -> tuple[int, int, int]:  # noqa: ANN401
        """Return the images of the official split."""
        return 7058, 1000, 2015

    def read_table(self, path: Path) -> ScoreTable:
        """Read either label file.

        Raises:
            DatasetError: The file is wrong, or one of its splits is empty.
        """
        if path.name == "koniq10k_indicators.csv":
            raise DatasetError(
                f"{path}: it describes the images and has no scores. Set labels to "
                "koniq10k_distributions_sets.csv or koniq10k_scores_and_distributions.csv."
            )
        table = read_koniq(path, self.score)
        if table.splits is None:
            logger.warning(
                "%s: %s has no column 'set', hence no official split; a seeded split %s is used. "
                "Use koniq10k_distributions_sets.csv to compare with published results.",
                *(self.name, path, self.fractions),
            )
        elif len(set(table.splits)) < len(SPLITS):
            empty = next(split for split in SPLITS if split not in table.splits)
            raise DatasetError(
                f"{path}: no image is in the split '{empty}' (column 'set'). Use the official "
                "file, or read a part of it as a ScoreFile."
            )
        return table
