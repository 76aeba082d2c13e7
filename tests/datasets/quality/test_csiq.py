from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cliqa.datasets.quality.csiq import CSIQ


def test_references_and_scores(layout: Callable[[str], Path]) -> None:
    table = CSIQ.read_table(layout("CSIQ") / "csiq_label.txt")
    assert table.images[2] == "ref_0.jpeg2000.1.png"
    assert table.groups is not None
    assert len(set(table.groups)) == 10
    assert table.raw[20] == 0.5


def test_images_in_one_folder_or_sorted_by_type(layout: Callable[[str], Path]) -> None:
    root = layout("CSIQ")
    flat = CSIQ(root)
    assert flat.scores[0] == 1.0  # DMOS 0: the best
    for path in flat.paths:
        place = root / "dst_imgs" / path.name.split(".")[1].lower() / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    (root / "dst_imgs_all").rmdir()
    by_type = CSIQ(root)
    assert by_type.paths[0] == root / "dst_imgs/awgn/ref_0.AWGN.1.png"
    assert by_type.keys == flat.keys
    np.testing.assert_array_equal(by_type.scores, flat.scores)
    assert by_type.splits == flat.splits


def test_names_tell_distortion_level_and_reference(layout: Callable[[str], Path]) -> None:
    known = CSIQ.read_table(layout("CSIQ") / "csiq_label.txt").attributes
    assert {name: column[5] for name, column in known.items()} == {
        "distortion": "awgn",
        "level": "2",
        "reference": "ref_1",
    }
