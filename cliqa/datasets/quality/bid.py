"""BID, blurred photographs (Ciancio et al., IEEE TIP 2011)."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

_NUMBER, _GRADE = "Image Number", "Average Subjective Grade"


@DATASETS.register_module()
class BID(LabelledFolder):
    """BID: 586 photographs with real blur, grades 0..5, higher is better.

    The official layout::

        root/
            DatabaseGrades.xlsx
            DatabaseImage0001.JPG   or ImageDatabase/DatabaseImage0001.JPG

    There is no official split: it is seeded, by image.
    """

    default_name = "bid"
    label_files = ("DatabaseGrades.xlsx",)
    image_folders = ("", "ImageDatabase", "images")
    official_range = (0.0, 5.0)
    official_count = 586

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the columns Image Number, Average Subjective Grade and, perhaps, std."""
        sheet = read_xlsx(path, (_NUMBER, _GRADE))
        numbers = sheet.text(_NUMBER)
        for index, number in enumerate(numbers):
            if not (number.isascii() and number.isdigit() and len(number) < 10):
                raise DatasetError(
                    f"{sheet.where(index)}: '{_NUMBER}' is '{number}', which is not an image "
                    "number. Use the official file."
                )
        return ScoreTable(
            images=tuple(f"DatabaseImage{int(number):04d}.JPG" for number in numbers),
            raw=sheet.numbers(_GRADE),
            std=sheet.numbers("std") if "std" in sheet.columns else None,
            rows=sheet.rows,
            source=path,
        )
