"""FLIVE, the data set of PaQ-2-PiQ: photographs of social media (Ying et al., CVPR 2020)."""

from __future__ import annotations

import logging
import posixpath
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from cliqa.datasets.image_listing import find_path
from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import ConfigError

logger = logging.getLogger(__name__)

Part = Literal["images", "patches"]
_TEST, _VAL = "labels640.csv", "labels=640_padded.csv"


@DATASETS.register_module()
class FLIVE(LabelledFolder):
    """FLIVE (PaQ-2-PiQ): 39 810 photographs and three patches of each, MOS 0..100, higher better.

    The official layout (the authors' notebook ``database_prep.ipynb`` collects the images)::

        root/
            database/labels_image.csv           name, mos; labels_patch.csv for the patches
            database/labels640.csv              the test pictures: name_image
            database/labels=640_padded.csv      name_image, is_valid: the others; val is True
            database/blur_dataset/motion0044.jpg
            database/patches/motion0044.jpg_patch_1.jpg

    `root` may also be the folder ``database`` itself. The split is the official one; where a file
    of it is missing, which is logged, it is seeded, by picture. A patch is in its picture's split.
    Names that begin with AVA__ are AVA's images (``AVA__953619.jpg`` is AVA's 953619), which their
    keys do not tell: do not test on one after training on the other.

    Sources: niu-haoran/FLIVE_Database and baidut/PaQ-2-PiQ, of which labels_image.csv and
    labels640.csv were read; the others' columns, and patches' names, as pyiqa's scripts
    (chaofengc/IQA-PyTorch) read them. Not verified against the release: how many patches there are.

    Args:
        root: The data set's folder.
        part: ``"images"`` or ``"patches"``.
        common: As `LabelledFolder`.
    """

    default_name = "flive"
    label_files: tuple[str, ...] = ("database/labels_image.csv", "labels_image.csv")
    image_folders = ("database", "")
    official_range = (0.0, 100.0)
    official_count: int | None = 39810

    def __init__(
        self,
        root: str | Path,
        part: Part = "images",
        **common: Any,  # noqa: ANN401
    ) -> None:
        if part not in ("images", "patches"):
            raise ConfigError(f"FLIVE: part must be 'images' or 'patches', got {part!r}.")
        self.part = part
        if part == "patches":
            self.official_count = None
            self.label_files = tuple(
                file.replace("labels_image", "labels_patch") for file in self.label_files
            )
        super().__init__(root, **common)

    def read_table(self, path: Path) -> ScoreTable:
        """Read name and mos, and the split from the files beside them."""
        sheet = read_csv(path, ("name", "mos"))
        images = tuple(sheet.text("name"))
        pictures = tuple(posixpath.basename(image).partition("_patch_")[0] for image in images)
        table = ScoreTable(
            images=images,
            raw=sheet.numbers("mos"),
            groups=pictures if self.part == "patches" else None,
            rows=sheet.rows,
            source=path,
        )
        test, val = (find_path(path.with_name(name)) for name in (_TEST, _VAL))
        lacking = [file.name for file in (test, val) if not file.is_file()]
        if lacking:
            logger.warning(
                "%s: no %s beside %s, hence no official split; a seeded split %s is used.",
                *(self.name, " and no ".join(lacking), path, self.fractions),
            )
            return table
        tested = set(map(posixpath.basename, read_csv(test, ("name_image",)).text("name_image")))
        others = read_csv(val, ("name_image", "is_valid"))
        pairs = zip(others.text("name_image"), others.text("is_valid"), strict=True)
        held = {posixpath.basename(name) for name, cell in pairs if cell.lower() in ("true", "1")}
        splits = tuple(
            "test" if name in tested else "val" if name in held else "train" for name in pictures
        )
        return replace(table, splits=splits)
