"""CID2013, photographs of 79 cameras (Virtanen et al., IEEE TIP 2015)."""

from __future__ import annotations

import re
from pathlib import Path

from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

_SETS = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6}
_NAME = re.compile(r"IS_(I|II|III|IV|V|VI)_C(\d\d)_D\d\d")
_MOS = "Realigned MOS"


@DATASETS.register_module()
class CID2013(LabelledFolder):
    """CID2013: 474 photographs of eight scenes by 79 cameras, MOS -10..90, higher is better.

    The six image sets were rated apart; the realigned MOS puts them on one scale, which leaves
    0..100 at its lower end (-9.55..87.88).

    The official layout::

        root/
            CID2013 data - version 12112014.xlsx   its sheet 'CID2013 MOS'
            IS1/co1/IS_I_C01_D01.jpg               image set, scene, camera

    There is no official split: it is seeded, by scene (C01 to C08), as cameras photographed the
    same scene in every set. ``scenario.split_by`` may be ``"image_set"`` or ``"scene"``.

    Sources: the folders, names and scores are those of the table of icbcbicc/IQA-Dataset; the
    workbook, its sheet and the columns Source_ID and Realigned MOS are those that public readers of
    it name. Not verified against the release: whether a scene is one place in all sets.
    """

    default_name = "cid2013"
    label_files = ("CID2013 data - version 12112014.xlsx",)
    image_folders = ("",)
    official_range = (-10.0, 90.0)
    official_count = 474

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the realigned MOS of each Source_ID, such as IS_I_C01_D01."""
        sheet = read_xlsx(path, ("Source_ID", _MOS), sheet="CID2013 MOS")
        names = sheet.text("Source_ID")
        found = [_NAME.fullmatch(name) for name in names]
        if None in found:
            index = found.index(None)
            raise DatasetError(
                f"{sheet.where(index)}: Source_ID '{names[index]}' is not set, scene and camera. "
                "Use the official file: 'IS_I_C01_D01'."
            )
        parts = [(_SETS[match[1]], match[2]) for match in found if match]
        scenes = tuple(f"C{scene}" for _, scene in parts)
        return ScoreTable(
            images=tuple(
                f"IS{number}/co{int(scene)}/{name}.jpg"
                for name, (number, scene) in zip(names, parts, strict=True)
            ),
            raw=sheet.numbers(_MOS),
            groups=scenes,
            rows=sheet.rows,
            source=path,
            attributes={"image_set": tuple(f"IS{number}" for number, _ in parts), "scene": scenes},
        )
