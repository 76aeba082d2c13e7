"""PIPAL, restored and distorted images (Gu et al., ECCV 2020)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable, join_tables
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

CLASSES = (
    *("traditional SR", "PSNR-oriented SR", "SR with kernel mismatch", "GAN-based SR"),
    *("denoising", "SR and denoising", "traditional distortions"),
)
"""The classes 00 to 06 of an image's name; SR is super-resolution."""

_PARTS = tuple(f"Distortion_{k}" for k in range(1, 5))


@DATASETS.register_module()
class PIPAL(LabelledFolder):
    """PIPAL: 200 images, 116 versions of each: 23 200 images, Elo ratings, higher is better.

    An Elo rating has no ends: 850..1900 is declared (916.7..1836.0 occur).

    The official layout (the training set of NTIRE 2021)::

        root/
            Train_Label/A0001.txt               lines such as 'A0001_00_00.bmp,1520.0648'
            Dist_Imgs/A0001_00_00.bmp           reference _ class _ version
            Distortion_1/A0001_00_00.bmp        or as published, in four folders

    There is no split of these images: it is seeded, by reference image. The validation set of the
    challenge is read with ``labels`` and ``images`` (one file, one folder). ``scenario.split_by``
    may be ``"distortion"`` (the classes 00 to 06) or ``"reference"``.

    Sources: labels and Dist_Imgs as pyiqa (chaofengc/IQA-PyTorch) reads them; the four folders,
    the names and the scores are those of the table of icbcbicc/IQA-Dataset. The classes' names are
    what a public reader found by counting the versions against the paper's Table 10; not verified.
    """

    default_name = "pipal"
    label_files = ("Train_Label",)
    image_folders = ("Dist_Imgs", "Train_Dist", "")
    official_range = (850.0, 1900.0)
    official_count = 23200

    @classmethod
    def is_label_file(cls, path: Path) -> bool:
        """Return whether there is a label file, or a folder of one file per reference."""
        return path.is_file() or path.is_dir()

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read all files of a folder, or one."""
        files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
        if not files:
            raise DatasetError(f"{path}: no .txt file in this folder. Copy the official ones.")
        sheets = [read_csv(file, ("image", "elo"), columns=("image", "elo")) for file in files]
        table = join_tables(
            [ScoreTable(tuple(s.text("image")), s.numbers("elo"), s.rows, s.source) for s in sheets]
        )
        references = tuple(image.partition("_")[0] for image in table.images)
        known = {"reference": references, **_attributes(table.images)}
        return replace(table, source=path, groups=references, attributes=known)

    def arrange(self, table: ScoreTable, folder: Path) -> ScoreTable:
        """Put the published folders before the names that lie in them."""
        parents = [part for part in _PARTS if (folder / part).is_dir()]
        place = {name: part for part in parents for name in os.listdir(folder / part)}
        images = (f"{place[name]}/{name}" if name in place else name for name in table.images)
        return replace(table, images=tuple(images))


def _attributes(images: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what names such as A0001_03_12.bmp say; none where names are others."""
    found = [re.fullmatch(r"A\d+_0([0-6])_\d\d", PurePath(image).stem) for image in images]
    kinds = [int(match[1]) for match in found if match]
    return {"distortion": tuple(CLASSES[k] for k in kinds)} if len(kinds) == len(images) else {}
