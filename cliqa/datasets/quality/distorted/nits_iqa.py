"""NITS-IQA, artificially distorted photographs (Ruikar and Chaudhury, Sensors 2023)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable, with_suffix
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS

DISTORTIONS = (
    *("Gaussian blur", "chromatic Gaussian noise", "chromatic uniform noise", "contrast change"),
    *("pixelate mosaic", "motion blur", "JPEG", "JPEG2000", "JPEG-XT"),
)
"""The types D1 to D9."""

_IMAGE, _REFERENCE, _SCORE = "Distorted Image Name", "Original Image Name", "Score"


@DATASETS.register_module()
class NITSIQA(LabelledFolder):
    """NITS-IQA: 405 images, 9 distortions of 9 photographs, MOS 0..100, higher is better.

    The official layout::

        root/
            Database/Score.xlsx       Distorted Image Name, Original Image Name, Score
            Database/I1D1L1.bmp

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"reference"``, and ``"distortion"`` or ``"level"`` where the names are as above.

    Sources: the workbook, its columns and the folder are those that the public reader classiqa
    names; the counts, the range and the types D1 to D9 are those of a public note on the release.
    Not verified against it: the images' names.
    """

    default_name = "nitsiqa"
    label_files = ("Database/Score.xlsx", "Score.xlsx")
    image_folders = ("Database", "")
    official_range = (0.0, 100.0)
    official_count = 405

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the scores; an image's name without a suffix gets ``.bmp``."""
        sheet = read_xlsx(path, (_IMAGE, _REFERENCE, _SCORE))
        images = with_suffix(sheet.text(_IMAGE), ".bmp")
        references = tuple(sheet.text(_REFERENCE))
        return ScoreTable(
            images=images,
            raw=sheet.numbers(_SCORE),
            groups=references,
            rows=sheet.rows,
            source=path,
            attributes={"reference": references, **_attributes(images)},
        )


def _attributes(images: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what names such as I1D2L3.bmp say; none where names are others."""
    found = [re.fullmatch(r"I\d+D([1-9])L(\d)", PurePath(image).stem) for image in images]
    parts = [match.groups() for match in found if match]
    if len(parts) < len(images):
        return {}
    return {
        "distortion": tuple(DISTORTIONS[int(kind) - 1] for kind, _ in parts),
        "level": tuple(level for _, level in parts),
    }
