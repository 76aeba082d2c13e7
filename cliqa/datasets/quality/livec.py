"""LIVE in the Wild (LIVE Challenge), phone photographs (Ghadiyaram and Bovik, IEEE TIP 2016)."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.labels.matlab import as_numbers, as_strings, check_lengths, read_mat
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS

_TRAINING_IMAGES = 7  # shown to the raters for practice; their files lie elsewhere


@DATASETS.register_module()
class LIVEC(LabelledFolder):
    """LIVE in the Wild: 1162 phone photographs, MOS 0..100, higher is better.

    The official layout::

        root/
            Data/AllImages_release.mat
            Data/AllMOS_release.mat
            Data/AllStdDev_release.mat
            Images/<name>.bmp

    There is no official split: it is seeded, by image.
    """

    default_name = "livec"
    label_files = ("Data/AllMOS_release.mat",)
    image_folders = ("Images",)
    official_range = (0.0, 100.0)
    official_count = 1162

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the scores without those of the first seven images, the raters' practice.

        A row's number is MATLAB's index.
        """
        name_file, std_file = (
            path.with_name(f"All{part}_release.mat") for part in ("Images", "StdDev")
        )
        (names,) = read_mat(name_file, ["AllImages_release"]).values()
        (mos,) = read_mat(path, ["AllMOS_release"]).values()
        (std,) = read_mat(std_file, ["AllStdDev_release"]).values()
        check_lengths(path, AllImages_release=names, AllMOS_release=mos, AllStdDev_release=std)
        rated = slice(_TRAINING_IMAGES, None)
        return ScoreTable(
            images=tuple(as_strings(name_file, "AllImages_release", names)[rated]),
            raw=as_numbers(path, "AllMOS_release", mos)[rated],
            std=as_numbers(std_file, "AllStdDev_release", std)[rated],
            rows=tuple(range(1, len(names) + 1))[rated],
            source=path,
        )
