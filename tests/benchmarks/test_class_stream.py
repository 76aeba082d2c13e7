"""Streams of classes: samples, order, transforms, classes over time, validation data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario, task_incremental_benchmark, with_classes_timeline
from avalanche.benchmarks.scenarios.generic_scenario import EagerCLStream
from torch.utils.data import DataLoader

from cliqa.benchmarks.class_stream import ClassStream, with_class_transforms
from cliqa.benchmarks.experience import NamedExperience
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.utils.errors import ConfigError, DatasetError

CLASSES = ("ant", "bee", "cow", "dog", "eel")
GROUPS = ((1, 4), (0, 2), (3,))
NAMES = ("late", "early", "last")


def data(classes: Sequence[int], n: int, first: int = 0, features: bool = False) -> ClassDataset:
    """Return n samples of some classes in turn; sample k is filled with first + k."""
    values = torch.arange(first, first + n)
    inputs = (
        values.float()[:, None].expand(n, 3) if features else values.byte()[:, None, None, None]
    )
    shown = inputs if features else inputs.expand(n, 2, 4, 4)
    targets = [classes[k % len(classes)] for k in range(n)]
    return ClassDataset(shown, targets, CLASSES, [f"{first + k}.png" for k in range(n)])


def parts(
    features: bool = False, sizes: Sequence[int] = (10, 20, 30)
) -> tuple[list[ClassDataset], list[ClassDataset]]:
    """Return training data of some sizes and test data of half of them."""
    train = [
        data(group, n, 100 * k, features)
        for k, (group, n) in enumerate(zip(GROUPS, sizes, strict=True))
    ]
    test = [
        data(group, n // 2, 100 * k + 50, features)
        for k, (group, n) in enumerate(zip(GROUPS, sizes, strict=True))
    ]
    return train, test


def halve(image: torch.Tensor) -> torch.Tensor:
    return image.float()[:, :2, :2]


def whole(image: torch.Tensor) -> torch.Tensor:
    return image.float()


def stream_of(features: bool = False, **options: Any) -> ClassStream:
    train, test = parts(features)
    return ClassStream(train, test, NAMES, halve, whole, **options)


def bare(train: Sequence[ClassDataset]) -> CLScenario:
    """Return a benchmark of the same experiences that knows nothing of classes and tasks."""
    views = [with_class_transforms(part, halve, whole) for part in train]
    experiences = [NamedExperience(NAMES[k], view, k) for k, view in enumerate(views)]
    return CLScenario([EagerCLStream("train", experiences)])


def test_experiences_are_the_data_sets_in_order() -> None:
    stream = stream_of()
    assert stream.names == ["late", "early", "last"]
    assert sorted(stream.streams) == ["test", "train"]
    for experiences, sizes in (
        (stream.train_stream, (10, 20, 30)),
        (stream.test_stream, (5, 10, 15)),
    ):
        assert [e.name for e in experiences] == list(NAMES)
        assert [e.current_experience for e in experiences] == [0, 1, 2]
        assert [len(e.dataset) for e in experiences] == list(sizes)
        assert all(e.benchmark is stream for e in experiences)
    assert (stream.class_names, stream.n_classes, stream.channels) == (CLASSES, 5, 2)
    assert not stream.has_features


@pytest.mark.parametrize("split", ["train", "test"])
def test_samples_are_inputs_classes_and_task_labels(split: str) -> None:
    stream = stream_of()
    for experience in stream.streams[split]:
        source = stream.sources[experience.name, split]
        assert list(experience.dataset.targets) == source.targets.tolist()
        for k, (image, target, task) in enumerate(experience.dataset):
            expected = (halve if split == "train" else whole)(source.inputs[k])
            assert torch.equal(image, expected)
            assert (target, task) == (source.targets[k], 0)
            assert isinstance(target, int)


def test_training_and_evaluation_see_their_own_transform() -> None:
    stream = stream_of(val_fraction=0.2)
    train = stream.train_stream[0].dataset
    assert train[0][0].shape == (2, 2, 2)
    assert train.eval()[0][0].shape == (2, 4, 4)
    assert train.subset([1, 2]).eval()[0][0].shape == (2, 4, 4)
    for split in ("val", "test"):
        assert stream.dataset("late", split)[0][0].shape == (2, 4, 4)
        assert stream.dataset("late", split).train()[0][0].shape == (2, 2, 2)


def test_a_view_of_one_data_set_starts_in_evaluation_mode() -> None:
    view = with_class_transforms(data((0, 1), 4), halve, whole, task_label=7)
    image, target, task = view[1]
    assert (image.shape, target, task) == ((2, 4, 4), 1, 7)
    assert view.train()[1][0].shape == (2, 2, 2)
    assert list(view.targets_task_labels) == [7] * 4


def test_a_loader_makes_batches_of_three_tensors() -> None:
    images, targets, tasks = next(iter(DataLoader(stream_of().train_stream[1].dataset, 8)))
    assert (images.shape, images.dtype) == ((8, 2, 2, 2), torch.float32)
    assert (targets.dtype, tasks.dtype) == (torch.int64, torch.int64)
    assert targets.tolist() == [0, 2] * 4
    assert tasks.tolist() == [0] * 8


def test_features_have_no_transforms() -> None:
    stream = stream_of(features=True)
    assert stream.has_features
    assert stream.channels is None
    assert stream.train_transform is stream.eval_transform is None
    for split in ("train", "test"):
        experience = stream.streams[split][2]
        found = torch.stack([sample[0] for sample in experience.dataset])
        expected = stream.sources["last", split].inputs
        assert isinstance(expected, torch.Tensor)
        assert torch.equal(found, expected)


def test_image_files_count_as_three_channels() -> None:
    files = ClassDataset(ImageFiles(["a.png"]), [0], CLASSES, ["a.png"])
    assert ClassStream([files], [files], ["a"], halve, whole).channels == 3


CLASSES_OVER_TIME = (
    "classes_in_this_experience",
    "previous_classes",
    "classes_seen_so_far",
    "future_classes",
)


def test_classes_over_time_follow_their_definition() -> None:
    found = [
        [getattr(experience, name) for name in CLASSES_OVER_TIME]
        for experience in stream_of().train_stream
    ]
    assert found == [
        [[1, 4], [], [1, 4], [0, 2, 3]],
        [[0, 2], [1, 4], [0, 1, 2, 4], [3]],
        [[3], [0, 1, 2, 4], [0, 1, 2, 3, 4], []],
    ]


@pytest.mark.parametrize("groups", [GROUPS, ((0, 1), (1, 2), (0, 4))])
def test_classes_over_time_are_those_of_avalanche(groups: Sequence[Sequence[int]]) -> None:
    train = [data(group, 6, 10 * k) for k, group in enumerate(groups)]
    stream = ClassStream(train, train, NAMES, halve, whole)
    expected = with_classes_timeline(bare(train))
    for ours, theirs in zip(stream.train_stream, expected.train_stream, strict=True):
        for name in CLASSES_OVER_TIME:
            assert set(getattr(ours, name)) == set(getattr(theirs, name)), name


def test_task_labels_are_none_unless_asked_for() -> None:
    assert not any(hasattr(e, "task_labels") for e in stream_of().train_stream)
    stream = stream_of(task_labels=True, val_fraction=0.2)
    for split in ("train", "val", "test"):
        for k, experience in enumerate(stream.streams[split]):
            assert (experience.task_label, experience.task_labels) == (k, [k])
            assert {sample[2] for sample in experience.dataset} == {k}


def test_task_labels_are_those_of_avalanche() -> None:
    train, _ = parts()
    expected = task_incremental_benchmark(bare(train), reset_task_labels=True)
    stream = stream_of(task_labels=True)
    for ours, theirs in zip(stream.train_stream, expected.train_stream, strict=True):
        assert ours.task_labels == theirs.task_labels
        assert list(ours.dataset.targets_task_labels) == list(theirs.dataset.targets_task_labels)


def keys(stream: ClassStream, split: str) -> list[tuple[str, ...]]:
    return [stream.sources[name, split].keys for name in stream.names]


def test_validation_data_are_a_share_of_the_training_data() -> None:
    train, _ = parts()
    stream = stream_of(val_fraction=0.3)
    assert [len(experience.dataset) for experience in stream.streams["val"]] == [3, 6, 9]
    for part, kept, validated in zip(
        train, keys(stream, "train"), keys(stream, "val"), strict=True
    ):
        assert not set(kept) & set(validated)
        assert set(kept) | set(validated) == set(part.keys)
        places = [part.keys.index(key) for key in kept]
        assert places == sorted(places)
    assert keys(stream, "test") == keys(stream_of(), "test")
    for index, name in enumerate(stream.names):
        view = stream.validation(index)
        assert view is not None
        assert len(view) == len(stream.sources[name, "val"])
        assert view[0][0].shape == (2, 4, 4)


def test_validation_data_follow_from_the_seed() -> None:
    drawn = [keys(stream_of(val_fraction=0.3, seed=seed), "val") for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_every_experience_has_a_draw_of_its_own() -> None:
    (first, *_), (test, *_) = parts()
    options: dict[str, Any] = {"val_fraction": 0.3}
    alone = ClassStream([first], [test], ["late"], halve, whole, **options)
    assert keys(alone, "val") == keys(stream_of(**options), "val")[:1]
    twice = ClassStream([first] * 2, [test] * 2, ["late", "later"], halve, whole, **options)
    assert keys(twice, "val")[0] == keys(alone, "val")[0] != keys(twice, "val")[1]


def test_a_stream_without_validation_has_no_val_stream() -> None:
    stream = stream_of()
    assert [stream.validation(k) for k in range(3)] == [None] * 3
    assert [len(part) for part in keys(stream, "val")] == [0, 0, 0]
    assert [len(part) for part in keys(stream, "train")] == [10, 20, 30]


@pytest.mark.parametrize("learnt", [(), (0,), (0, 1), (1,), (0, 1, 2)])
def test_what_a_model_is_tested_on(learnt: tuple[int, ...]) -> None:
    assert stream_of().tested(learnt) == [0, 1, 2]
    ahead = stream_of(ahead_only=True)
    assert ahead.tested(learnt) == sorted({0, 1, 2} - set(learnt))
    assert ahead.tested(range(len(learnt))) == list(range(len(learnt), 3))


def test_notes_and_classes_of_experiences_are_kept() -> None:
    stream = stream_of(classes_of=GROUPS, notes=["seen twice"])
    assert stream.overlaps == ["seen twice"]
    assert stream.classes_of == [(1, 4), (0, 2), (3,)]
    assert stream_of().classes_of is None
    assert stream_of().overlaps == []
    assert stream.target_kind == "classes"
    assert not stream.has_clear_measures


def test_experiences_of_one_class_are_noted(caplog: pytest.LogCaptureFixture) -> None:
    stream = stream_of(classes_of=GROUPS, notes=["seen twice"])
    assert stream.notes[0] == "seen twice"
    assert stream.notes[1].startswith("last: only one class to train on.")
    assert "set a smaller scenario.n_experiences" in stream.notes[1]
    assert stream.notes[1] in caplog.text
    assert "add images of other classes" in stream_of().notes[0]


def test_one_class_in_all_is_noted() -> None:
    images = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    alone = ClassDataset(images, [0] * 4, ("ant",), [f"{k}.png" for k in range(4)])
    (note,) = ClassStream([alone], [alone], ["all"], halve, whole).notes
    assert note.startswith("all samples are of one class ('ant')")
    assert "scenario.dataset_root" in note


def test_the_data_sets_are_left_alone() -> None:
    train, test = parts()
    before = [(part.keys, part.targets.copy()) for part in (*train, *test)]
    ClassStream(train, test, NAMES, halve, whole, val_fraction=0.2, task_labels=True)
    for part, (names, targets) in zip((*train, *test), before, strict=True):
        assert part.keys == names
        np.testing.assert_array_equal(part.targets, targets)


@pytest.mark.parametrize("key", ["train_transform", "eval_transform"])
def test_images_without_a_transform_are_refused(key: str) -> None:
    train, test = parts()
    transforms: dict[str, Any] = {"train_transform": halve, "eval_transform": whole, key: None}
    with pytest.raises(ConfigError, match=rf"scenario\.{key}: missing.*dict\(type='ToTensor'\)"):
        ClassStream(train, test, NAMES, **transforms)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan")])
def test_a_share_of_validation_data_lies_below_one(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"scenario\.val_fraction: expected a share 0\.\.1, got"):
        stream_of(val_fraction=fraction)


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 0), (0.96, 10)])
def test_something_is_left_to_train_and_to_validate_on(fraction: float, count: int) -> None:
    message = rf"of the 10 training samples of late that is {count} to validate on"
    with pytest.raises(ConfigError, match=message):
        stream_of(val_fraction=fraction)


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_experience_without_samples_is_refused(split: str) -> None:
    both = dict(zip(("train", "test"), parts(), strict=True))
    both[split][1] = both[split][1].select([])
    with pytest.raises(DatasetError, match=f"experience early has no {split} samples. Add some"):
        ClassStream(both["train"], both["test"], NAMES, halve, whole)
