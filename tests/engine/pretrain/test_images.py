"""The images of a pretraining, and their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliqa.datasets.unlabelled import UnlabelledFolder
from cliqa.engine.pretrain.images import ImageList, build_images, record_images, split
from cliqa.engine.work_dir.data_record import DataRecord
from cliqa.utils.errors import ConfigError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos" / "inside"
    folder.mkdir(parents=True)
    for k in range(6):
        Image.fromarray(np.full((8, 8 + k, 3), k, np.uint8)).save(folder / f"{k}.png")
    return folder.parent


def test_a_split_is_drawn_by_the_seed(photos: Path) -> None:
    source = ImageList.of(UnlabelledFolder(photos))
    train, held_out = split(source, 2, seed=0)
    assert sorted(k for _, k in train.places + held_out.places) == list(range(6))
    assert len(held_out) == len(split(source, 0.3, seed=0)[1]) == 2
    assert held_out.image(0).shape == source.image(held_out.places[0][1]).shape
    for share in (6, -1, 1.0 * 7):
        with pytest.raises(ConfigError, match=r"of 6 images at least one must be left"):
            split(source, share, seed=0)


def recorded(folder: Path) -> DataRecord:
    """Return the record of a folder's images."""
    return record_images(*split(ImageList.of(UnlabelledFolder(folder)), 2, seed=0))


def test_a_record_is_of_names_below_the_folder(photos: Path) -> None:
    parts = split(ImageList.of(UnlabelledFolder(photos)), 2, seed=0)
    then = record_images(*parts)
    assert sorted(then.sets["images"]["train"].names or ()) == sorted(
        f"inside/{k}.png" for _, k in parts[0].places
    )
    moved = photos.rename(photos.with_name("moved"))
    assert then.differences(recorded(moved)) == []
    Image.new("RGB", (99, 9)).save(moved / "inside" / "3.png")
    (said,) = then.differences(recorded(moved))
    assert said == "images: 1 image has another size (first: inside/3.png)"
    Image.new("RGB", (9, 9)).save(moved / "inside" / "9.png")
    (said,) = then.differences(recorded(moved))
    assert "1 image is new (first: inside/9.png)" in said


def test_the_images_of_a_stream_are_called_after_their_data_sets(
    tiny_config: dict[str, Any],
) -> None:
    source = build_images(tiny_config, None, {})
    record = record_images(*split(source, 5, seed=0))
    names = record.sets["images"]["train"].names
    assert names is not None
    assert {name.partition("/")[0] for name in names} == {"a", "b", "c"}
