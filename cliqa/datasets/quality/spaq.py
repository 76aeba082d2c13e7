"""SPAQ, smartphone photographs (Fang et al., CVPR 2020)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError

Score = Literal["mos", "brightness", "colorfulness", "contrast", "noisiness", "sharpness"]
SCORES = ("mos", "brightness", "colorfulness", "contrast", "noisiness", "sharpness")


def read_spaq(path: Path, score: Score = "mos") -> ScoreTable:
    """Read the columns ``Image name`` and ``MOS``, or that of an attribute, of the first sheet.

    Raises:
        ConfigError: `score` is unknown.
        DatasetError: The file is wrong.
    """
    if score not in SCORES:
        raise ConfigError(f"SPAQ: score must be one of {', '.join(SCORES)}, got {score!r}.")
    column = "MOS" if score == "mos" else score.capitalize()
    sheet = read_xlsx(path, ("Image name", column))
    return ScoreTable(
        images=tuple(sheet.text("Image name")),
        raw=sheet.numbers(column),
        rows=sheet.rows,
        source=path,
    )


@DATASETS.register_module()
class SPAQ(LabelledFolder):
    """SPAQ: 11 125 smartphone photographs, MOS 0..100, higher is better.

    The official layout::

        root/
            Annotations/MOS and Image attribute scores.xlsx
            TestImage/<Image name>

    There is no official split: it is seeded, by image. The images have 12 megapixels and more:
    resize them in the pipeline.

    Args:
        root: The data set's folder.
        score: ``"mos"``, or what the raters said of one attribute, 0..100: ``"brightness"``,
            ``"colorfulness"``, ``"contrast"``, ``"noisiness"`` or ``"sharpness"``.
        common: As `LabelledFolder`.
    """

    default_name = "spaq"
    label_files = (
        "Annotations/MOS and Image attribute scores.xlsx",
        "MOS and Image attribute scores.xlsx",
    )
    image_folders = ("TestImage", "images")
    official_range = (0.0, 100.0)
    official_count = 11125

    def __init__(
        self,
        root: str | Path,
        score: Score = "mos",
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.score = score
        super().__init__(root, **common)

    def read_table(self, path: Path) -> ScoreTable:
        """Read the official labels."""
        return read_spaq(path, self.score)
