from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.spaq import SPAQ, read_spaq
from cliqa.utils.errors import ConfigError, DatasetError

Layout = Callable[[str], Path]


def test_names_and_scores_of_the_workbook(layout: Layout) -> None:
    root = layout("SPAQ")
    table = read_spaq(root / SPAQ.label_files[0])
    assert table.images[:2] == ("00000.jpg", "00001.jpg")
    assert table.raw[:3].tolist() == [0.25, 5.25, 10.25]
    assert table.rows[0] == 2
    assert SPAQ(root).keys[1] == "spaq/00001.jpg"


def test_an_attribute_is_a_target_of_its_own(layout: Layout) -> None:
    root = layout("SPAQ")
    data = SPAQ(root, score="brightness", name="brightness")
    assert set(data.raw_scores) == {50.0}
    assert data.splits == SPAQ(root).splits
    with pytest.raises(DatasetError, match="Sharpness"):
        SPAQ(root, score="sharpness")
    with pytest.raises(ConfigError, match=r"SPAQ: score must be one of mos, .*got 'blur'"):
        SPAQ(root, score="blur")  # type: ignore[arg-type]


def test_two_targets_of_the_same_images_make_a_stream_with_the_same_split(layout: Layout) -> None:
    root = layout("SPAQ")
    targets = [SPAQ(root), SPAQ(root, score="brightness", name="brightness")]
    stream = QualityStream(targets, lambda x: x, lambda x: x)
    for split in ("train", "val", "test"):
        first, second = (stream.sources[name, split] for name in stream.names)
        assert first.keys == second.keys
        assert len(first) == targets[0].splits.count(split)
