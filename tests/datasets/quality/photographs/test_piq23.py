from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.quality.photographs.piq23 import PIQ23
from cliqa.utils.errors import ConfigError, DatasetError

Layout = Callable[[str], Path]


def test_scenes_are_tested_on_that_train_has_not(layout: Layout) -> None:
    data = PIQ23(layout("PIQ23"))
    assert data.table.images[0] == "Overall/0_Indoor_Scene_0.jpg"
    assert data.groups is not None
    test = {g for g, split in zip(data.groups, data.splits, strict=True) if split == "test"}
    assert test == {"Indoor_Scene_6", "Night_Scene_7"}
    assert (data.splits.count("val"), data.drawn) == (2, False)
    assert data.table.attributes["condition"][2] == "Night"


def test_devices_are_split_by_picture(layout: Layout) -> None:
    data = PIQ23(layout("PIQ23"), split="device")
    assert [split == "test" for split in data.splits[:4]] == [False, True, False, False]
    assert data.groups is None


def test_each_attribute_has_scores_and_images_of_its_own(layout: Layout) -> None:
    root = layout("PIQ23")
    overall, details = PIQ23(root), PIQ23(root, score="details")
    assert details.raw_scores[0] == overall.raw_scores[0] + 0.5
    assert details.table.images[0].startswith("Details/")
    assert details.keys == overall.keys  # crops of the same pictures


def test_a_missing_split_is_drawn_by_scene(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    root = layout("PIQ23")
    (root / "Scene Split.csv").unlink()
    with caplog.at_level(logging.WARNING):
        data = PIQ23(root)
    assert "no file 'Scene Split.csv'" in caplog.text
    assert data.drawn
    assert len(set(zip(data.groups or (), data.splits, strict=True))) == 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"score": "align"}, "score must be 'overall', 'details' or 'exposure', got 'align'"),
        ({"split": "random"}, "split must be 'scene' or 'device', got 'random'"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        PIQ23("nowhere", **options)


def test_a_split_of_another_release_is_refused(layout: Layout) -> None:
    root = layout("PIQ23")
    file = root / "Scene Split.csv"
    file.write_text(file.read_text().replace("Night_Scene_3,", "Night_Scene_9,"))
    with pytest.raises(DatasetError, match=r"row 8: 'Night_Scene_3' is not in .*Scene Split\.csv"):
        PIQ23(root)
