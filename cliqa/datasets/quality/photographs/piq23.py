"""PIQ23, portraits of smartphones (Chahine et al., CVPR 2023)."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cliqa.datasets.image_listing import find_path
from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.datasets.splits import with_known_splits, with_validation
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

Score = Literal["overall", "details", "exposure"]
OfficialSplit = Literal["scene", "device"]
_SPLITS = {"scene": "SCENE", "device": "IMAGE"}


@DATASETS.register_module()
class PIQ23(LabelledFolder):
    """PIQ23: 5116 portraits in 50 scenes by over 100 smartphones, JOD -8..6, higher is better.

    Experts compared the pictures of a scene: scores rank within a scene, and the authors report
    the median of the correlations of all scenes.

    The official layout (the split's file is from the authors' repository)::

        root/
            Scores_Overall.csv               or Scores/Scores_Overall.csv
            Scene Split.csv                  or Test split/Scene Split.csv
            Overall/66_Indoor_Scene_0.jpg    and Details, Exposure: crops of the same pictures

    The split is one of the two official ones, with a seeded share of train as val, by scene or
    by image. Where its file is missing, which is logged, all is seeded by scene.
    ``scenario.split_by`` may be ``"scene"`` or ``"condition"`` (Indoor, Lowlight, Night, Outdoor).

    Source: DXOMARK-Research/PIQ2023, whose score and split files were read.

    Args:
        root: The data set's folder.
        score: ``"overall"``, or ``"details"`` or ``"exposure"`` of the face.
        split: ``"scene"``: 15 scenes are the test; ``"device"``: about 30 % of the pictures, most
            of them of other phones than train's.
        common: As `LabelledFolder`.
    """

    default_name = "piq23"
    label_files: tuple[str, ...] = ("Scores_Overall.csv", "Scores/Scores_Overall.csv")
    image_folders = ("",)
    official_range = (-8.0, 6.0)
    official_count = 5116

    def __init__(
        self,
        root: str | Path,
        score: Score = "overall",
        split: OfficialSplit = "scene",
        **common: Any,  # noqa: ANN401
    ) -> None:
        if score not in ("overall", "details", "exposure"):
            raise ConfigError(
                f"PIQ23: score must be 'overall', 'details' or 'exposure', got {score!r}."
            )
        if split not in _SPLITS:
            raise ConfigError(f"PIQ23: split must be 'scene' or 'device', got {split!r}.")
        self.split = split
        name = score.capitalize()
        self.label_files = tuple(file.replace("Overall", name) for file in self.label_files)
        super().__init__(root, **common)

    def read_table(self, path: Path) -> ScoreTable:
        """Read the JOD of each picture, its standard deviation, and the official split."""
        sheet = read_csv(path, ("IMAGE PATH", "JOD", "JOD STD", "SCENE", "CONDITION"))
        scenes = tuple(sheet.text("SCENE"))
        table = ScoreTable(
            images=tuple(name.replace("\\", "/") for name in sheet.text("IMAGE PATH")),
            raw=sheet.numbers("JOD"),
            std=sheet.numbers("JOD STD"),
            groups=scenes,
            rows=sheet.rows,
            source=path,
            attributes={"scene": scenes, "condition": tuple(sheet.text("CONDITION"))},
        )
        return self._with_official_split(table)

    def complete_split(self, table: ScoreTable) -> ScoreTable:
        """Return the table with a seeded share of train as val, unless all splits are seeded."""
        return with_validation(table, self.fractions, self.seed, self.name)

    def _with_official_split(self, table: ScoreTable) -> ScoreTable:
        """Return a table with the official split, where its file is there."""
        name = f"{self.split.capitalize()} Split.csv"
        places = (name, f"Test split/{name}")
        file = next((p for place in places if (p := find_path(self.root / place)).is_file()), None)
        if file is None:
            logger.warning(
                "%s: no file '%s' in %s, hence no official split; a seeded split %s by scene is "
                "used. Copy the file from the authors' repository.",
                *(self.name, name, self.root, self.fractions),
            )
            return table
        sheet = read_csv(file, (_SPLITS[self.split], "SPLIT"))
        pairs = zip(sheet.text(_SPLITS[self.split]), sheet.text("SPLIT"), strict=True)
        split_of = dict(pairs)
        if self.split == "scene":
            units = table.attributes["scene"]
        else:  # its two sides share scenes, on purpose
            units = tuple(image.rpartition("/")[2] for image in table.images)
            table = replace(table, groups=None)
        absent = next((i for i, unit in enumerate(units) if unit not in split_of), None)
        if absent is not None:
            raise DatasetError(
                f"{table.where(absent)}: '{units[absent]}' is not in {file}. Use the files of one "
                "release."
            )
        return with_known_splits(replace(table, splits=tuple(split_of[unit] for unit in units)))
