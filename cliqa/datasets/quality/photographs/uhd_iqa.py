"""UHD-IQA, photographs of 4K resolution (Hosu et al., ECCV workshops 2024)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.datasets.splits import with_known_splits
from cliqa.registry import DATASETS


@DATASETS.register_module()
class UHDIQA(LabelledFolder):
    """UHD-IQA: 6073 photographs of 3840 pixels width, MOS 0..1, higher is better.

    The official layout::

        root/
            uhd-iqa-metadata.csv    image_name, quality_mos, set ...
            training/1.jpg          and validation, test

    The split is the official one (4269 / 904 / 900). The images may also lie in one folder, which
    ``images`` then names. The photographs have 8 megapixels: resize them in the pipeline.

    Sources: the columns are those of the authors' page, as repositories quote it; names, scores
    (0.2865..0.889) and the split's sizes are those of the table of icbcbicc/IQA-Dataset. Not
    verified against the release: the column ``set`` in the words training, validation and test.
    """

    default_name = "uhdiqa"
    label_files = ("uhd-iqa-metadata.csv",)
    image_folders = ("", "images")
    official_range = (0.0, 1.0)
    official_count = 6073

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read image_name, quality_mos and set."""
        sheet = read_csv(path, ("image_name", "quality_mos", "set"))
        table = ScoreTable(
            images=tuple(sheet.text("image_name")),
            raw=sheet.numbers("quality_mos"),
            splits=tuple(sheet.text("set")),
            rows=sheet.rows,
            source=path,
            attributes={"set": tuple(sheet.text("set"))},
        )
        return with_known_splits(table)

    def arrange(self, table: ScoreTable, folder: Path) -> ScoreTable:
        """Put each split's folder before the names where the images are sorted so."""
        parents = table.attributes["set"]
        table = replace(table, attributes={})
        if not any((folder / parent).is_dir() for parent in set(parents)):
            return table
        pairs = zip(parents, table.images, strict=True)
        return replace(table, images=tuple(f"{parent}/{name}" for parent, name in pairs))
