"""Streams whose images arrive in chunks, with sharp or with blurred borders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.benchmarks.online import OnlineStream, as_online
from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.benchmarks.split_classes import SplitFashionMNIST
from cliqa.utils.errors import ConfigError


def online(stream: QualityStream, size: int = 8, **options: Any) -> list[Any]:
    return list(as_online(stream, OnlineStream(size, **options)).train_stream)


def test_chunks_hold_every_image_once_in_a_drawn_order(tiny_stream: QualityStream) -> None:
    first, second, _ = (experience.arrival for experience in online(tiny_stream, 10))
    flat = [index for chunk in first.chunks for index in chunk]
    assert sorted(flat) == list(range(32))
    assert flat != sorted(flat)
    assert flat != [index for chunk in second.chunks for index in chunk]
    assert online(tiny_stream, 10)[0].arrival == first
    assert online(tiny_stream, 10, seed=1)[0].arrival != first


@pytest.mark.parametrize(("size", "lengths"), [(10, [10, 10, 10, 2]), (31, [32]), (32, [32])])
def test_no_chunk_is_a_single_image(
    tiny_stream: QualityStream, size: int, lengths: list[int]
) -> None:
    experience = online(tiny_stream, size, order="given")[0]
    assert [len(chunk) for chunk in experience.arrival.chunks] == lengths
    assert [k for chunk in experience.arrival.chunks for k in chunk] == list(range(32))


def scores(experience: Any) -> list[float]:
    return [float(score) for score in experience.dataset.targets]


def test_blur_mixes_neighbours_and_loses_nothing(tiny_stream: QualityStream) -> None:
    own = [set(scores(experience)) for experience in tiny_stream.train_stream]
    mixed = online(tiny_stream, blur=0.1)
    assert [len(experience.dataset) for experience in mixed] == [32, 32, 32]
    found = [scores(experience) for experience in mixed]
    assert sorted(s for one in found for s in one) == sorted(s for one in own for s in one)
    shares = [[sum(s in own[k] for s in one) for k in range(3)] for one in found]
    assert 0 < shares[0][1] < 10
    assert shares[0][2] == 0
    assert 0 < shares[1][0] < 10
    assert 0 < shares[1][2] < 10
    image, score = mixed[0].dataset[5]
    assert image.shape == (3, 12, 12)  # the training transform
    assert float(score) == found[0][5]
    assert mixed[0].dataset.eval()[5][0].shape == (3, 16, 16)
    assert [len(e.dataset) for e in tiny_stream.test_stream] == [4, 4, 4]


def test_without_blur_the_samples_stay_as_they_are(tiny_stream: QualityStream) -> None:
    before = [scores(experience) for experience in tiny_stream.train_stream]
    assert [scores(experience) for experience in online(tiny_stream)] == before


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"chunk_size": 1}, r"online\.chunk_size=1: must be at least 2"),
        ({"order": "sorted"}, r"online\.order='sorted': choose 'shuffled' or 'given'"),
        ({"boundaries": "none"}, r"online\.boundaries='none': choose 'known' or 'hidden'"),
        ({"blur": -1.0}, r"online\.blur=-1.0: must be at least 0"),
        ({"evaluate_every": -1}, r"online\.evaluate_every=-1: must be at least 0"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        OnlineStream(**{"chunk_size": 8, **options})


def test_classes_are_not_mixed(fashion_root: Path) -> None:
    def scale(image: Any) -> Any:
        return image.float() / 255

    stream = SplitFashionMNIST(fashion_root, scale, scale)
    assert len(as_online(stream, OnlineStream(10)).train_stream[0].arrival.chunks) > 1
    with pytest.raises(ConfigError, match=r"online\.blur: an experience of classes"):
        as_online(stream, OnlineStream(10, blur=0.1))


def test_patches_of_an_image_are_refused(tiny_stream: QualityStream) -> None:
    tiny_stream.train_stream[0].patches = object()
    with pytest.raises(ConfigError, match="patches_per_image"):
        as_online(tiny_stream, OnlineStream(10))
