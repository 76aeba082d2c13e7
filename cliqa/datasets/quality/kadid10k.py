"""KADID-10k, artificially distorted photographs (Lin et al., QoMEX 2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

DISTORTIONS = (
    *("gaussian blur", "lens blur", "motion blur"),
    *("color diffusion", "color shift", "color quantization"),
    *("color saturation 1", "color saturation 2"),
    *("jpeg2000", "jpeg"),
    *("white noise", "white noise in color component", "impulse noise", "multiplicative noise"),
    *("denoise", "brighten", "darken", "mean shift"),
    *("jitter", "non-eccentricity patch", "pixelate", "quantization", "color block"),
    *("high sharpen", "contrast change"),
)
"""The official names of the types 01 to 25."""

CATEGORIES = {
    **dict.fromkeys(range(1, 4), "blur"),
    **dict.fromkeys(range(4, 9), "color"),
    **dict.fromkeys(range(9, 11), "compression"),
    **dict.fromkeys(range(11, 16), "noise"),
    **dict.fromkeys(range(16, 19), "brightness"),
    **dict.fromkeys(range(19, 24), "spatial"),
    **dict.fromkeys(range(24, 26), "sharpness and contrast"),
}
"""The official category of each type."""


@DATASETS.register_module()
class KADID10k(LabelledFolder):
    """KADID-10k: 81 photographs under 25 distortions of 5 levels: 10 125 images, scores 1..5.

    The column is called dmos, yet higher is better.

    The official layout::

        root/
            dmos.csv               or kadid10k.csv
            images/I01_01_01.png   reference _ type _ level

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"distortion"`` (the 25 names), ``"category"`` (the 7 kinds), ``"level"`` or ``"reference"``.
    The level is no severity of mean shift and contrast change: their level 3 is the reference, and
    levels 1 and 5 lie on opposite sides of it (the authors' ``imdist_generator.m``).
    """

    default_name = "kadid"
    label_files = ("dmos.csv", "kadid10k.csv")
    image_folders = ("images", "distorted_images")
    official_range = (1.0, 5.0)
    official_count = 10125

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
        images = sheet.text("dist_img")
        return ScoreTable(
            images=tuple(images),
            raw=sheet.numbers("dmos"),
            std=np.sqrt(variance),
            groups=tuple(sheet.text("ref_img")),
            rows=sheet.rows,
            source=path,
            attributes=_attributes(images),
        )


def _attributes(images: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what names such as I01_01_01.png say; none where names are others."""
    found = [re.fullmatch(r"(I\d+)_(\d\d)_(\d\d)", PurePath(image).stem) for image in images]
    parts = [match.groups() for match in found if match and int(match[2]) in CATEGORIES]
    if len(parts) < len(images):
        return {}
    types = [int(kind) for _, kind, _ in parts]
    return {
        "distortion": tuple(DISTORTIONS[kind - 1] for kind in types),
        "category": tuple(CATEGORIES[kind] for kind in types),
        "level": tuple(str(int(level)) for *_, level in parts),
        "reference": tuple(reference for reference, *_ in parts),
    }
