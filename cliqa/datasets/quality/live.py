"""LIVE release 2, artificially distorted photographs (Sheikh et al., IEEE TIP 2006)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cliqa.datasets.labels.matlab import as_numbers, as_strings, check_lengths, read_mat
from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS
from cliqa.utils.errors import DatasetError

_FOLDERS = {"jp2k": 227, "jpeg": 233, "wn": 174, "gblur": 174, "fastfading": 174}


@DATASETS.register_module()
class LIVE(LabelledFolder):
    """LIVE: 29 photographs under 5 distortions: 779 images, realigned DMOS, lower is better.

    The realigned DMOS leaves 0..100 at both ends (it spans 114.4), so -5..115 is declared.

    The official layout::

        root/
            dmos_realigned.mat
            refnames_all.mat
            jp2k/img1.bmp   and jpeg, wn, gblur, fastfading

    There is no official split: it is seeded, by reference image. ``scenario.split_by`` may be
    ``"distortion"`` (the folders' names) or ``"reference"``.
    """

    default_name = "live"
    label_files = ("dmos_realigned.mat",)
    image_folders = ("",)
    official_range = (-5.0, 115.0)
    official_count = 779
    lower_is_better = True

    @staticmethod
    def read_table(path: Path) -> ScoreTable:
        """Read the realigned DMOS without the hidden references (orgs = 1).

        A row's number is MATLAB's index.
        """
        content = read_mat(path, ["dmos_new", "dmos_std", "orgs"])
        reference_file = path.with_name("refnames_all.mat")
        references = read_mat(reference_file, ["refnames_all"])["refnames_all"]
        check_lengths(path, **content, refnames_all=references)
        images = [f"{folder}/img{k}.bmp" for folder, n in _FOLDERS.items() for k in range(1, n + 1)]
        if len(references) != len(images):
            raise DatasetError(
                f"{path}: {len(references)} rows, expected {len(images)}. Use the files of "
                "release 2."
            )
        originals = as_numbers(path, "orgs", content["orgs"])
        if not np.isin(originals, (0.0, 1.0)).all():
            raise DatasetError(f"{path}: 'orgs' must be 0 or 1. Use the official file.")
        groups = tuple(as_strings(reference_file, "refnames_all", references))
        table = ScoreTable(
            images=tuple(images),
            raw=as_numbers(path, "dmos_new", content["dmos_new"]),
            std=as_numbers(path, "dmos_std", content["dmos_std"]),
            groups=groups,
            rows=tuple(range(1, len(images) + 1)),
            source=path,
            attributes={
                "distortion": tuple(image.split("/")[0] for image in images),
                "reference": groups,
            },
        )
        return table.take(np.flatnonzero(originals == 0.0))
