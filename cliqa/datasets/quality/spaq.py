"""SPAQ, smartphone photographs (Fang et al., CVPR 2020)."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS


@DATASETS.register_module()
class SPAQ(LabelledFolder):
    """SPAQ: 11 125 smartphone photographs, MOS 0..100, higher is better.

    The official layout::

        root/
            Annotations/MOS and Image attribute scores.xlsx
            TestImage/<Image name>

    There is no official split: it is seeded, by image. The images have 12 megapixels and more:
    resize them in the pipeline.
    """

    default_name = "spaq"
    label_files = (
        "Annotations/MOS and Image attribute scores.xlsx",
        "MOS and Image attribute scores.xlsx",
    )
    image_folders = ("TestImage", "images")
    official_range = (0.0, 100.0)

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the columns ``Image name`` and ``MOS`` of the first sheet."""
        sheet = read_xlsx(path, ("Image name", "MOS"))
        return ScoreTable(
            images=tuple(sheet.text("Image name")),
            raw=sheet.numbers("MOS"),
            rows=sheet.rows,
            source=path,
        )
