"""MDID, images with several distortions at once (Sun et al., Pattern Recognition 2017)."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.labels.csv_labels import read_columns
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

_REFERENCES, _VERSIONS = 20, 80


@DATASETS.register_module()
class MDID(LabelledFolder):
    """MDID: 20 photographs, 80 versions of each: 1600 images, MOS 0..8, higher is better.

    The official layout::

        root/
            mos.txt                             one score per line, in the order of the names
            distortion_images/img01_01.bmp      reference _ version

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"reference"``; which distortions an image has stands in files that are not read.

    Sources: names and scores (0.078..7.9184) are those of the table of icbcbicc/IQA-Dataset, where
    the set is called MDID2016; that mos.txt has one score per line in this order is how public
    MATLAB code reads it. Not verified against the release.
    """

    default_name = "mdid"
    label_files = ("mos.txt",)
    image_folders = ("distortion_images",)
    official_range = (0.0, 8.0)
    official_count = _REFERENCES * _VERSIONS

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read one score per line."""
        sheet = read_columns(path, ("mos",))
        if len(sheet.rows) != _REFERENCES * _VERSIONS:
            raise DatasetError(
                f"{path}: {len(sheet.rows)} scores, expected {_REFERENCES * _VERSIONS}. Use the "
                "official file."
            )
        places = [divmod(k, _VERSIONS) for k in range(len(sheet.rows))]
        references = tuple(f"img{reference + 1:02d}" for reference, _ in places)
        return ScoreTable(
            images=tuple(f"img{r + 1:02d}_{version + 1:02d}.bmp" for r, version in places),
            raw=sheet.numbers("mos"),
            groups=references,
            rows=sheet.rows,
            source=path,
            attributes={"reference": references},
        )
