"""Tests of cliqa.api.pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cliqa.api.pictures import as_list, image_files


def test_one_image_becomes_a_list_and_a_batch_its_images() -> None:
    picture = Image.new("RGB", (4, 4))
    assert as_list(picture) == [picture]
    assert as_list("a.png") == ["a.png"]
    assert len(as_list(np.zeros((4, 4, 3), np.uint8))) == 1
    assert len(as_list(np.zeros((2, 4, 4, 3), np.uint8))) == 2


def test_images_in_memory_become_files_without_loss(tmp_path: Path) -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    ((path, name),) = image_files([pixels], tmp_path, recursive=False)
    assert name == "image 0"
    assert np.array_equal(np.asarray(Image.open(path)), pixels)
