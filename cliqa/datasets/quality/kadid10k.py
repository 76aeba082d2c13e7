"""KADID-10k, artificially distorted photographs (Lin et al., QoMEX 2019)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError


@DATASETS.register_module()
class KADID10k(LabelledFolder):
    """KADID-10k: 81 photographs under 25 distortions of 5 levels: 10 125 images, scores 1..5.

    The column is called dmos, yet higher is better.

    The official layout::

        root/
            dmos.csv
            images/I01_01_01.png   reference _ type _ level

    There is no official split: it is seeded, by reference image.
    """

    default_name = "kadid"
    label_files = ("dmos.csv",)
    image_folders = ("images", "distorted_images")
    official_range = (1.0, 5.0)

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read dist_img, ref_img, dmos and var, whose root is the standard deviation."""
        sheet = read_csv(path, ("dist_img", "ref_img", "dmos", "var"))
        variance = sheet.numbers("var")
        bad = np.flatnonzero(~(variance >= 0.0))
        if bad.size:
            raise DatasetError(
                f"{sheet.where(bad[0])}: the variance 'var' is {variance[bad[0]]:g}; it must be at "
                "least 0. Use the official file."
            )
        return ScoreTable(
            images=tuple(sheet.text("dist_img")),
            raw=sheet.numbers("dmos"),
            std=np.sqrt(variance),
            groups=tuple(sheet.text("ref_img")),
            rows=sheet.rows,
            source=path,
        )
