"""TID2013, artificially distorted photographs (Ponomarenko et al., SPIC 2015)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from cliqa.datasets.labels.csv_labels import read_columns
from cliqa.datasets.labels.sheet import Sheet
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

DISTORTIONS = (
    *("additive Gaussian noise", "additive noise in color components"),
    *("spatially correlated noise", "masked noise", "high frequency noise", "impulse noise"),
    *("quantization noise", "Gaussian blur", "image denoising"),
    *("JPEG compression", "JPEG2000 compression"),
    *("JPEG transmission errors", "JPEG2000 transmission errors"),
    *("non eccentricity pattern noise", "local block-wise distortions", "mean shift"),
    *("contrast change", "change of color saturation", "multiplicative Gaussian noise"),
    *("comfort noise", "lossy compression of noisy images"),
    *("image color quantization with dither", "chromatic aberrations"),
    "sparse sampling and reconstruction",
)
"""The official names of the types 1 to 24."""


@DATASETS.register_module()
class TID2013(LabelledFolder):
    """TID2013: 25 images under 24 distortions of 5 levels: 3000 images, MOS 0..9, higher is better.

    The official layout (the capitals of the names differ from those in the labels)::

        root/
            mos_with_names.txt
            distorted_images/I01_01_1.bmp

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"distortion"`` (the 24 names), ``"level"`` or ``"reference"``.
    """

    default_name = "tid2013"
    label_files = ("mos_with_names.txt",)
    image_folders = ("distorted_images",)
    official_range = (0.0, 9.0)
    official_count = 3000
    distortions: ClassVar[tuple[str, ...]] = DISTORTIONS
    levels: ClassVar[int] = 5

    @classmethod
    def read_table(cls, path: Path) -> ScoreTable:
        """Read lines such as ``5.51429 I01_01_1.bmp``; references are in capitals.

        The file ``mos_std.txt`` is not read: it holds the deviation of the mean (about 0.13), not
        that of the ratings.
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
            attributes=cls._attributes(sheet, images),
        )

    @classmethod
    def _attributes(cls, sheet: Sheet, images: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return what names such as I01_01_1.bmp say; none where names are others.

        Raises:
            DatasetError: A type or a level is more than the set has.
        """
        found = [re.fullmatch(r"[iI](\d+)_(\d+)_(\d)", PurePath(image).stem) for image in images]
        parts = [m.groups() for m in found if m and int(m[2]) >= 1]
        if len(parts) < len(images):
            return {}
        kinds, count = [int(kind) for _, kind, _ in parts], len(cls.distortions)
        for index, (kind, (*_, level)) in enumerate(zip(kinds, parts, strict=True)):
            if kind > count or not 1 <= int(level) <= cls.levels:
                raise DatasetError(
                    f"{sheet.where(index)}: '{images[index]}': {cls.__name__} has {count} types of "
                    f"{cls.levels} levels. Is it the other TID?"
                )
        return {
            "distortion": tuple(cls.distortions[kind - 1] for kind in kinds),
            "level": tuple(level for *_, level in parts),
            "reference": tuple(f"I{reference}" for reference, *_ in parts),
        }
