"""CLEAR over a painted tree: the samples of Avalanche's CLEAR, protocols, features, few shots."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.classic import CLEAR as AvalancheCLEAR  # noqa: N811
from avalanche.benchmarks.datasets.clear.clear import CLEARDataset, _CLEARFeature
from PIL import Image

from cliqa.benchmarks.clear import CLEAR
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.datasets.clear.fewshot import get_fewshot_indices
from cliqa.demo_data.clear import ClearData
from cliqa.registry import SCENARIOS
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.utils.errors import ConfigError, DatasetError

CLASSES, BUCKETS, IMAGES = 3, 4, 10
OLD_NAME = "clear10_neurips2021"
IID: dict[str, Any] = {"evaluation_protocol": "iid", "seed": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a painted tree with features ``moco_b0``: (bucket, place, class, ...) of each image.

    It has the 2-shot lists of every seed. Only read it.
    """
    root = tmp_path_factory.mktemp("clear") / "tree"
    ClearData(classes=CLASSES, buckets=BUCKETS, images=IMAGES, size=16).write(root)
    for seed in range(5):
        get_fewshot_indices(root, shot=2, seed=seed)
    for bucket in range(1, BUCKETS + 1):
        lines = (root / f"training_folder/filelists/{bucket}/all.txt").read_text().splitlines()
        targets = [int(line.rpartition(" ")[2]) for line in lines]
        rows = [[bucket, place, target, 0.5, -1.0] for place, target in enumerate(targets)]
        folder = root / "training_folder/features/moco_b0" / str(bucket)
        folder.mkdir(parents=True)
        torch.save((torch.tensor(rows), targets), folder / "all.pth")
    return root


@pytest.fixture(autouse=True)
def _no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Avalanche from the network, should it not like the tree."""

    def refuse(self: CLEARDataset) -> None:
        pytest.fail(f"Avalanche does not find its files in {self.root}")

    monkeypatch.setattr(CLEARDataset, "_download_dataset", refuse)


def scale(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


def crop(image: torch.Tensor) -> torch.Tensor:
    return scale(image)[:, :8, :8]


def images_of(root: Path, **options: Any) -> CLEAR:
    return CLEAR(root, crop, scale, **options)


def keys(stream: CLEAR, split: str) -> list[tuple[str, ...]]:
    return [stream.sources[name, split].keys for name in stream.names]


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def assert_same_samples(ours: ClassDataset, theirs: Any) -> None:
    """Check that a data set has the samples of one of Avalanche's, in its order."""
    assert len(ours) == len(theirs)
    assert ours.targets.tolist() == list(theirs.targets)
    for k, (sample, target, _) in enumerate(theirs):
        assert target == ours.targets[k]
        if isinstance(ours.inputs, ImageFiles):  # no two images look alike
            np.testing.assert_array_equal(pixels(ours.inputs.paths[k]), np.asarray(sample))
            assert ours.inputs.paths[k].endswith(ours.keys[k])
        else:
            assert torch.equal(ours.inputs[k], sample)


def assert_same_stream(stream: CLEAR, expected: Any) -> None:
    """Check that both streams of a benchmark are those of one of Avalanche's."""
    for split, theirs in (("train", expected.train_stream), ("test", expected.test_stream)):
        assert len(stream.streams[split]) == len(theirs) == BUCKETS
        for ours, other in zip(stream.streams[split], theirs, strict=True):
            assert_same_samples(stream.sources[ours.name, split], other.dataset)
            assert ours.classes_in_this_experience == sorted(other.classes_in_this_experience)


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3, 4])
def test_images_are_those_of_avalanches_clear(root: Path, seed: int | None) -> None:
    protocol = "streaming" if seed is None else "iid"
    options: dict[str, Any] = {"data_name": OLD_NAME, "evaluation_protocol": protocol, "seed": seed}
    assert_same_stream(images_of(root, **options), AvalancheCLEAR(dataset_root=root, **options))


def test_features_are_those_of_avalanches_clear(root: Path) -> None:
    options: dict[str, Any] = {"data_name": OLD_NAME, "feature_type": "moco_b0"}
    assert_same_stream(CLEAR(root, **options), AvalancheCLEAR(dataset_root=root, **options))


@pytest.mark.parametrize("seed", range(5))
def test_split_features_are_those_of_avalanches_reader(root: Path, seed: int) -> None:
    # its CLEAR cannot build a stream of them: they are lists of vectors
    options: dict[str, Any] = {"data_name": OLD_NAME, "seed": seed, "feature_type": "moco_b0"}
    stream = CLEAR(root, evaluation_protocol="iid", **options)
    for split in ("train", "test"):
        read = _CLEARFeature(root, download=False, split=split, **options)
        for name, (vectors, targets) in zip(stream.names, read.tensors_and_targets, strict=True):
            source = stream.sources[name, split]
            assert isinstance(source.inputs, torch.Tensor)
            assert torch.equal(source.inputs, torch.stack(vectors))
            assert source.targets.tolist() == targets


def test_no_two_images_look_alike(root: Path) -> None:
    paths = [str(path) for path in root.glob("labeled_images/*/*/*.jpg")]
    assert len({pixels(path).tobytes() for path in paths}) == len(paths) == 120


def test_task_labels_are_avalanches_where_they_are_asked_for(root: Path) -> None:
    expected = AvalancheCLEAR(dataset_root=root, data_name=OLD_NAME)
    labelled = images_of(root, task_labels=True)
    for ours, theirs in zip(labelled.train_stream, expected.train_stream, strict=True):
        assert ours.task_labels == theirs.task_labels
        assert ours.dataset[0][2] == theirs.dataset[0][2] == ours.current_experience
    assert {experience.dataset[0][2] for experience in images_of(root).train_stream} == {0}


def test_experiences_are_the_buckets_in_the_order_of_time(root: Path) -> None:
    stream = images_of(root)
    assert stream.names == ["bucket-1", "bucket-2", "bucket-3", "bucket-4"]
    for index, name in enumerate(stream.names, start=1):
        assert all(f"/{index}/" in key for key in stream.sources[name, "train"].keys)
    assert stream.class_names == tuple((root / "class_names.txt").read_text().split("\n"))
    assert (stream.n_classes, stream.channels, stream.layout) == (CLASSES, 3, "old")
    assert stream.classes_of is None  # the buckets share all classes
    assert stream.has_clear_measures


def test_buckets_are_chosen(root: Path) -> None:
    stream = images_of(root, buckets=[4, 2])
    assert stream.names == ["bucket-2", "bucket-4"]
    assert keys(stream, "train") == keys(images_of(root), "train")[1::2]


def test_training_and_evaluation_see_their_own_transform(root: Path) -> None:
    stream = images_of(root, **IID)
    assert stream.train_stream[0].dataset[0][0].shape == (3, 8, 8)
    image, target, task = stream.test_stream[0].dataset[1]
    source = stream.sources["bucket-1", "test"]
    assert torch.equal(image, scale(source.inputs[1]))
    assert (target, task) == (source.targets[1], 0)


def test_streaming_tests_what_lies_ahead(root: Path) -> None:
    stream = images_of(root)
    assert stream.evaluation_protocol == "streaming"
    assert stream.ahead_only
    assert keys(stream, "train") == keys(stream, "test")
    assert [stream.tested(range(t)) for t in range(5)] == [[0, 1, 2, 3], [1, 2, 3], [2, 3], [3], []]


def test_iid_tests_every_bucket_on_images_of_its_own(root: Path) -> None:
    stream = images_of(root, **IID)
    assert not stream.ahead_only
    assert stream.tested([0, 1]) == [0, 1, 2, 3]
    for train, test in zip(keys(stream, "train"), keys(stream, "test"), strict=True):
        assert not set(train) & set(test)
        assert (len(train), len(test)) == (21, 9)  # 70 % and 30 % of 30
    assert keys(stream, "test") != keys(images_of(root, **{**IID, "seed": 1}), "test")


@pytest.mark.parametrize("seed", range(5))
def test_few_shots_leave_the_test_images_alone(root: Path, seed: int) -> None:
    iid = {**IID, "seed": seed}
    whole, few = images_of(root, **iid), images_of(root, **iid, shot=2)
    assert keys(few, "test") == keys(whole, "test")
    for name, train, test, all_of_it in zip(
        few.names, keys(few, "train"), keys(few, "test"), keys(whole, "train"), strict=True
    ):
        assert not set(train) & set(test)
        assert set(train) <= set(all_of_it)
        counts = np.bincount(few.sources[name, "train"].targets, minlength=CLASSES)
        assert counts.tolist() == [2] * CLASSES


@pytest.mark.parametrize("options", [{}, IID, {**IID, "seed": 3, "shot": 2}], ids=str)
def test_features_are_of_the_same_samples_as_images(root: Path, options: dict[str, Any]) -> None:
    images, features = images_of(root, **options), CLEAR(root, feature_type="moco_b0", **options)
    assert features.has_features
    assert features.channels is None
    assert features.names == images.names
    for split in ("train", "test"):
        assert [sorted(part) for part in keys(features, split)] == [
            sorted(part) for part in keys(images, split)
        ]
        for number, experience in enumerate(features.streams[split], start=1):
            for vector, target, _ in experience.dataset:
                assert vector.shape == (5,)
                assert (vector[0], vector[2]) == (number, target)


def test_features_drop_transforms(root: Path) -> None:
    stream = images_of(root, feature_type="moco_b0")
    assert stream.train_transform is stream.eval_transform is None
    assert stream.train_stream[1].dataset[0][0].tolist()[:2] == [2, 0]


def test_validation_data_come_from_the_training_images(root: Path) -> None:
    stream, whole = images_of(root, **IID, val_fraction=0.2), images_of(root, **IID)
    assert [len(part) for part in keys(stream, "val")] == [4] * BUCKETS
    assert keys(stream, "test") == keys(whole, "test")
    for train, val, both in zip(
        keys(stream, "train"), keys(stream, "val"), keys(whole, "train"), strict=True
    ):
        assert sorted((*train, *val)) == sorted(both)


def test_what_is_odd_about_the_data_is_noted(root: Path, tmp_path: Path) -> None:
    assert images_of(root).overlaps == []
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    get_fewshot_indices(copy, shot=8, seed=0)  # more than the 7 or so of a class to train on
    notes = images_of(copy, **IID, shot=8).overlaps
    assert notes
    assert all("fewer than 8 images of" in note for note in notes)


def test_the_cache_keeps_decoded_images(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    stream = images_of(copy, cache="ram")
    loader = make_loader(stream.test_stream[0].dataset.subset([0]), 1, train=False)
    first = next(iter(loader))[0]
    shutil.rmtree(copy / "labeled_images")
    assert torch.equal(next(iter(loader))[0], first)
    with pytest.raises(DatasetError, match="no such image file"):
        _ = stream.test_stream[0].dataset[1]


def test_images_need_transforms(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"scenario\.train_transform: missing\. Images need one"):
        CLEAR(root)
    with pytest.raises(ConfigError, match=r"scenario\.eval_transform: missing\. Images need one"):
        CLEAR(root, crop)


def test_mistakes_are_told_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluation_protocol: unknown protocol 'stream'"):
        images_of(tmp_path, evaluation_protocol="stream")
    with pytest.raises(DatasetError, match=str(tmp_path)):
        images_of(tmp_path)


def test_is_found_by_name() -> None:
    assert SCENARIOS.get("CLEAR") is CLEAR
