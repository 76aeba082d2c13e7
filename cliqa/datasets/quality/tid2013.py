"""TID2013, artificially distorted photographs (Ponomarenko et al., SPIC 2015)."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.labels.csv_labels import read_columns
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError


def read_tid2013(path: Path) -> ScoreTable:
    """Read the official labels.

    Args:
        path: ``mos_with_names.txt``; a line is ``5.51429 I01_01_1.bmp``.

    Returns:
        The scores and the reference images (I01 to I25; the capitals of a name do not matter).

    Raises:
        DatasetError: The file is wrong.
    """
    sheet = read_columns(path, ("mos", "image"))
    images = sheet.text("image")
    for index, image in enumerate(images):
        if image.count("_") != 2:
            raise DatasetError(
                f"{sheet.where(index)}: '{image}' is not reference_type_level.bmp. A line is "
                "'5.51429 I01_01_1.bmp'."
            )
    return ScoreTable(
        images=tuple(images),
        raw=sheet.numbers("mos"),
        groups=tuple(image.split("_")[0].upper() for image in images),
        rows=sheet.rows,
        source=path,
    )


@DATASETS.register_module()
class TID2013(LabelledFolder):
    """TID2013: 25 images under 24 distortions of 5 levels: 3000 images, MOS 0..9, higher is better.

    The official layout (the capitals of the names differ from those in the labels)::

        root/
            mos_with_names.txt
            distorted_images/I01_01_1.bmp

    There is no official split: it is seeded, by reference image.

    Args:
        common: As `LabelledFolder`.
    """

    default_name = "tid2013"
    label_files = ("mos_with_names.txt",)
    image_folders = ("distorted_images",)
    official_range = (0.0, 9.0)

    def read_table(self, path: Path) -> ScoreTable:
        """Read the official labels."""
        return read_tid2013(path)
