"""AGIQA-3K, generated images (Li et al., IEEE TCSVT 2024)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError

Score = Literal["quality", "align"]

WORDS = ("prompt", "adj1", "adj2", "style")
"""Columns of the official file that describe an image; cells may be empty."""


def read_agiqa(path: Path, score: Score = "quality") -> ScoreTable:
    """Read the scores of ``data.csv`` with their standard deviations, and the prompts.

    Raises:
        ConfigError: `score` is unknown.
        DatasetError: The file is wrong.
    """
    if score not in ("quality", "align"):
        raise ConfigError(f"AGIQA-3K: score must be 'quality' or 'align', got {score!r}.")
    sheet = read_csv(path, ("name", "prompt", f"mos_{score}", f"std_{score}"))
    return ScoreTable(
        images=tuple(sheet.text("name")),
        raw=sheet.numbers(f"mos_{score}"),
        std=sheet.numbers(f"std_{score}"),
        groups=tuple(sheet.text("prompt")),
        rows=sheet.rows,
        source=path,
        attributes={
            "generator": tuple(name.split("_")[0] for name in sheet.text("name")),
            **{key: tuple(sheet.columns[key]) for key in WORDS if key in sheet.columns},
        },
    )


@DATASETS.register_module()
class AGIQA3K(LabelledFolder):
    """AGIQA-3K: 2982 images that six generators made of 300 prompts, scores 0..5, higher is better.

    The official layout::

        root/
            data.csv
            <name>.jpg   or images/<name>.jpg

    There is no official split: it is seeded, by prompt. ``scenario.split_by`` may be
    ``"generator"`` (AttnGAN, DALLE2, glide, midjourney, sd1.5, xl2.2, as the images' names begin),
    ``"prompt"``, ``"adj1"``, ``"adj2"`` or ``"style"``.

    Args:
        root: The data set's folder.
        score: ``"quality"`` (mos_quality): how good the image looks; ``"align"`` (mos_align): how
            well it fits the prompt.
        common: As `LabelledFolder`.
    """

    default_name = "agiqa"
    label_files = ("data.csv",)
    image_folders = ("", "images", "AGIQA-3K")
    official_range = (0.0, 5.0)
    official_count = 2982

    def __init__(
        self,
        root: str | Path,
        score: Score = "quality",
        **common: Any,  # noqa: ANN401
    ) -> None:
        self.score = score
        super().__init__(root, **common)

    def read_table(self, path: Path) -> ScoreTable:
        """Read the official labels."""
        return read_agiqa(path, self.score)
