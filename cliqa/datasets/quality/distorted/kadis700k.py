"""KADIS-700k, distorted photographs without ratings (Lin et al., QoMEX 2019)."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.kadid10k import CATEGORIES, DISTORTIONS
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

LEVELS = 5

UNORDERED = frozenset({18, 25})
"""Types whose level 3 is the photograph itself, and whose levels 1 and 5 are opposite: mean shift
and contrast change."""


@DATASETS.register_module()
class KADIS700k(LabelledFolder):
    """KADIS-700k: 140 000 photographs, 5 levels of one distortion of each, and no rating.

    The score is the level of distortion: 0 for the photograph, 1..5, lower is better. It ranks the
    versions of one photograph; levels of two distortions do not compare, so that this is for
    pretraining by ranks and not for a correlation with people. Photographs whose type has no order
    (mean shift, contrast change) are in it without their versions.

    The official layout (the authors' MATLAB code makes dist_imgs)::

        root/
            kadis700k_ref_imgs.csv        ref_im, dist_type_1 ...
            ref_imgs/<name>.png
            dist_imgs/<name>_01_05.bmp    photograph _ type _ level

    There is no official split: it is seeded, by photograph. ``scenario.split_by`` may be
    ``"distortion"``, ``"category"`` or ``"level"``, as KADID-10k's. Set ``missing="skip"`` where
    versions were not made. Pretraining without any label takes the folder ``ref_imgs``.

    Sources: public readers name the file's columns; names, types and levels are those of the
    authors' code ``generate_kadis700k.m`` and ``imdist_generator.m``, of which copies were read.
    Not verified against the release: the number of rows.
    """

    default_name = "kadis"
    label_files = ("kadis700k_ref_imgs.csv",)
    image_folders = ("",)
    official_range = (0.0, float(LEVELS))
    lower_is_better = True

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """List the photographs and their versions; a row is that of the photograph."""
        sheet = read_csv(path, ("ref_im", "dist_type_1"))
        names, types = sheet.text("ref_im"), sheet.numbers("dist_type_1")
        bad = np.flatnonzero(~np.isin(types, list(CATEGORIES)))
        if bad.size:
            raise DatasetError(
                f"{sheet.where(bad[0])}: dist_type_1 is {types[bad[0]]:g}, not 1..25. Use the "
                "official file."
            )
        rows: list[tuple[str, int, int, int, str]] = []
        for name, kind, row in zip(names, types.astype(int).tolist(), sheet.rows, strict=True):
            rows.append((f"ref_imgs/{name}", 0, kind, row, name))
            for level in range(1, LEVELS + 1) if kind not in UNORDERED else ():
                version = f"dist_imgs/{PurePath(name).stem}_{kind:02d}_{level:02d}.bmp"
                rows.append((version, level, kind, row, name))
        images, levels, kinds, numbers, groups = zip(*rows, strict=True)
        return ScoreTable(
            images=images,
            raw=np.array(levels, dtype=np.float64),
            groups=groups,
            rows=numbers,
            source=path,
            attributes={
                "distortion": tuple(DISTORTIONS[kind - 1] for kind in kinds),
                "category": tuple(CATEGORIES[kind] for kind in kinds),
                "level": tuple(map(str, levels)),
            },
        )
