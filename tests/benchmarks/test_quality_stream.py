"""The stream of data sets: order, transforms, splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.utils.errors import ConfigError


def read(root: Path, folder: str, **options: Any) -> ScoreFile:
    arguments = {"labels": "scores.csv", "score_range": (0, 1), "higher_is_better": True}
    return ScoreFile(root=root / folder, images=".", **{"name": folder, **arguments, **options})


def halve(image: torch.Tensor) -> torch.Tensor:
    return image.float()[:, :8, :8] / 255


def scale(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


def test_experiences_are_the_data_sets_in_order(tiny_data: Path) -> None:
    data = [read(tiny_data, name) for name in "abc"]
    stream = QualityStream(data, halve, scale, order=["c", "a", "b"])
    assert stream.names == ["c", "a", "b"]
    for kind, size in (("train", 32), ("val", 4), ("test", 4)):
        experiences = list(stream.streams[kind])
        assert [e.name for e in experiences] == ["c", "a", "b"]
        assert [e.current_experience for e in experiences] == [0, 1, 2]
        assert [len(e.dataset) for e in experiences] == [size] * 3


def test_samples_are_images_and_float_scores_of_the_right_split(tiny_stream: QualityStream) -> None:
    source = tiny_stream.sources["b", "test"]
    dataset = tiny_stream.test_stream[1].dataset
    for k in range(len(source)):
        image, score = dataset[k]
        assert score.dtype == torch.float32
        assert score.shape == ()
        assert float(score) == source.scores[k]
        assert torch.allclose(image, source.image(k).float() / 255, atol=1e-6)


def test_training_and_evaluation_see_their_own_transform(tiny_data: Path) -> None:
    stream = QualityStream([read(tiny_data, "a")], halve, scale)
    train = stream.train_stream[0].dataset
    assert train[0][0].shape == (3, 8, 8)
    assert train.eval()[0][0].shape == (3, 16, 16)
    assert train.subset([1, 2]).eval()[0][0].shape == (3, 16, 16)
    for kind in ("val", "test"):
        assert stream.dataset("a", kind)[0][0].shape == (3, 16, 16)


def test_a_stream_without_validation_has_no_val_stream(tiny_data: Path) -> None:
    stream = QualityStream([read(tiny_data, "a", fractions=(0.8, 0.0, 0.2))], halve, scale)
    assert stream.validation(0) is None
    assert sorted(stream.streams) == ["test", "train"]


def test_there_are_no_task_labels(tiny_stream: QualityStream) -> None:
    assert not hasattr(tiny_stream.train_stream[0], "task_labels")


def test_scores_stay_what_the_label_file_says(tiny_data: Path) -> None:
    stream = QualityStream([read(tiny_data, "a")], halve, scale)
    lines = (tiny_data / "a" / "scores.csv").read_text().splitlines()[1:]
    expected = {name: float(score) for name, score in (line.split(",") for line in lines)}
    source = stream.sources["a", "test"]
    found = {path.name: float(s) for path, s in zip(source.paths, source.scores, strict=True)}
    assert found == pytest.approx({name: np.float32(expected[name]) for name in found})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": ["a"]}, r"scenario\.order: \['a'\] must name each of \['a', 'b'\] exactly once"),
        ({"order": ["a", "a"]}, r"must name each of"),
        ({"order": ["a", "x"]}, r"must name each of"),
        ({"max_train": 0}, r"scenario\.max_train: expected a number of images >= 1 or None, got 0"),
        ({"shared": "drop"}, r"scenario\.shared: expected 'remove', 'keep' or 'error', got 'drop'"),
    ],
)
def test_bad_options_are_refused(tiny_data: Path, options: dict[str, Any], message: str) -> None:
    data = [read(tiny_data, name) for name in "ab"]
    with pytest.raises(ConfigError, match=message):
        QualityStream(data, halve, scale, **options)


def test_few_training_images_are_a_part_of_more_and_the_test_is_whole(tiny_data: Path) -> None:
    def stream(count: int | None, seed: int = 0) -> QualityStream:
        data = [read(tiny_data, name) for name in "ab"]
        return QualityStream(data, halve, scale, max_train=count, max_train_seed=seed)

    def images(found: QualityStream, name: str, split: str = "train") -> list[str]:
        return [path.name for path in found.sources[name, split].paths]

    every = images(stream(None), "a")
    few, more = images(stream(5), "a"), images(stream(9), "a")
    assert len(few) == len(stream(5).train_stream[0].dataset) == 5
    assert len(more) == 9
    assert set(few) < set(more) < set(every)
    assert few == [name for name in every if name in few]
    assert images(stream(5, seed=1), "a") != few
    assert images(stream(5), "b") != few
    assert images(stream(10**6), "a") == every
    assert images(stream(5), "a", "test") == images(stream(None), "a", "test")


def test_two_data_sets_of_one_name_are_refused(tiny_data: Path) -> None:
    data = [read(tiny_data, "a"), read(tiny_data, "b", name="a")]
    with pytest.raises(ConfigError, match=r"two data sets are called 'a'.*name='\.\.\.'"):
        QualityStream(data, halve, scale)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"scenario\.datasets: empty"):
        QualityStream([], halve, scale)


def test_a_split_that_a_data_set_lacks_leaves_the_others_in_their_places(tiny_data: Path) -> None:
    data = [
        read(tiny_data, "a", fractions=(0.8, 0.0, 0.2)),
        read(tiny_data, "b"),
        read(tiny_data, "c", fractions=(0.0, 0.5, 0.5)),
    ]
    stream = QualityStream(data, halve, scale)
    places = {
        kind: [(e.name, e.current_experience) for e in stream.streams[kind]]
        for kind in ("train", "val", "test")
    }
    assert places == {
        "train": [("a", 0), ("b", 1)],
        "val": [("b", 1), ("c", 2)],
        "test": [("a", 0), ("b", 1), ("c", 2)],
    }
    assert [stream.validation(k) is None for k in range(3)] == [True, False, False]
    alone = QualityStream([read(tiny_data, "a", fractions=(0, 0, 1))], halve, scale)
    assert list(alone.streams) == ["test"]


def test_doubts_about_the_scores_are_notes_for_the_results(tiny_data: Path) -> None:
    data = [read(tiny_data, "a"), read(tiny_data, "b", score_range=(0, 100))]
    (note,) = QualityStream(data, halve, scale).notes
    assert note.startswith("b: the scores lie in 0.")
    assert "Set score_range=(0, 1)" in note


def test_data_sets_that_are_only_evaluated_have_a_stream_of_their_own(
    tiny_data: Path, make_strategy: Callable[..., Any]
) -> None:
    data = [read(tiny_data, name) for name in "ab"]
    unseen = read(tiny_data, "c", fractions=(0, 0, 1))
    stream = QualityStream(data, halve, scale, evaluate_only=[unseen])
    assert (stream.names, stream.unseen) == (["a", "b"], ["c"])
    assert [len(s) for s in (stream.train_stream, stream.test_stream)] == [2, 2]
    (experience,) = stream.unseen_stream
    assert (experience.name, experience.current_experience) == ("c", 2)
    assert len(experience.dataset) == 40
    assert experience.dataset[0][0].shape == (3, 16, 16)  # the evaluation's transform
    assert list(stream.tested({0})) == [0, 1, 2]
    strategy = make_strategy()
    strategy.eval(stream.unseen_stream)
    with pytest.raises(ConfigError, match="another data set is called 'a' already"):
        QualityStream(data, halve, scale, evaluate_only=[read(tiny_data, "a")])
