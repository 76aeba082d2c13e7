"""CSIQ, artificially distorted photographs (Larson and Chandler, JEI 2010)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cliqa.datasets.labels.csv_labels import read_columns
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError


@DATASETS.register_module()
class CSIQ(LabelledFolder):
    """CSIQ: 30 photographs under 6 distortions: 866 images, DMOS 0..1, lower is better.

    The layout (the authors' workbook as a text file)::

        root/
            csiq_label.txt                       lines such as '1600.AWGN.1.png 0.061989'
            dst_imgs_all/<name>                  all images in one folder
            dst_imgs/awgn/1600.AWGN.1.png        or as published, one folder per type

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"distortion"`` (awgn, blur, contrast, fnoise, jpeg, jpeg2000 as the names have them),
    ``"level"`` or ``"reference"``.
    """

    default_name = "csiq"
    label_files = ("csiq_label.txt",)
    image_folders = ("dst_imgs_all", "dst_imgs")
    official_range = (0.0, 1.0)
    official_count = 866
    lower_is_better = True

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the DMOS; a name is reference.type.level.png."""
        sheet = read_columns(path, ("image", "dmos"))
        images = sheet.text("image")
        for index, image in enumerate(images):
            if image.count(".") != 3:
                raise DatasetError(
                    f"{sheet.where(index)}: '{image}' is not reference.type.level.png. "
                    "Use the official names."
                )
        return ScoreTable(
            images=tuple(images),
            raw=sheet.numbers("dmos"),
            groups=tuple(image.split(".")[0] for image in images),
            rows=sheet.rows,
            source=path,
            attributes={
                "distortion": tuple(image.split(".")[1].lower() for image in images),
                "level": tuple(image.split(".")[2] for image in images),
                "reference": tuple(image.split(".")[0] for image in images),
            },
        )

    def arrange(self, table: ScoreTable, folder: Path) -> ScoreTable:
        """Put each type's folder before the names where the images are sorted by type."""
        placed = [f"{image.split('.')[1].lower()}/{image}" for image in table.images]
        if not any((folder / image).is_file() for image in placed):
            return table
        return replace(table, images=tuple(placed))
