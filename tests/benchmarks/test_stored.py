"""Images that are read when they are needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.stored import OnPixels, StoredImage, StoredImages, files_of
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.transforms.staged import unfinished


@pytest.fixture
def pixels() -> ClassDataset:
    images = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 1, 3, 4)
    return ClassDataset(images, np.array([1, 0]), ("a", "b"), ["x", "y"])


def test_a_score_is_known_without_reading(tiny_stream: QualityStream) -> None:
    source = tiny_stream.sources["a", "train"]
    with unfinished():
        image, score = StoredImages(source)[3]
    assert image.file == source.files[3]
    assert score == torch.tensor(source.scores[3])
    assert torch.equal(image.read(), source.image(3))


def test_images_in_memory_have_no_file(pixels: ClassDataset) -> None:
    with unfinished():
        image, target = StoredImages(pixels)[1]
    assert image.file is None
    assert (target, type(target)) == (0, int)
    assert torch.equal(image.read(), pixels.inputs[1])
    assert len(StoredImages(pixels)) == 2


def test_outside_of_a_batch_the_samples_are_the_data_sets(
    tiny_stream: QualityStream, pixels: ClassDataset
) -> None:
    source = tiny_stream.sources["a", "train"]
    image, score = StoredImages(source)[3]
    assert torch.equal(image, source.image(3))
    assert score == source.scores[3]
    assert torch.equal(StoredImages(pixels)[1][0], pixels.inputs[1])


def test_the_files_of_a_data_set(tiny_stream: QualityStream, pixels: ClassDataset) -> None:
    source = tiny_stream.sources["a", "train"]
    assert files_of(source) == source.files
    assert files_of(pixels) == []
    files = ImageFiles(["a.png", "b.png"])
    assert files_of(ClassDataset(files, [0, 0], ("a",), ["x", "y"])) == ["a.png", "b.png"]


def test_a_transform_of_pixels_reads_first(pixels: ClassDataset) -> None:
    double = OnPixels(lambda image: image * 2)
    assert torch.equal(double(StoredImage(pixels, 0)), pixels.inputs[0] * 2)
    assert double(4) == 8
