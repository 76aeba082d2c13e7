"""The generated data set: readable, repeatable, and drifting."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.datasets.clear.fewshot import get_fewshot_indices
from cliqa.datasets.clear.read import read_clear
from cliqa.demo_data.clear import ClearData
from cliqa.registry import GENERATORS, build_component
from cliqa.utils.errors import ConfigError, DatasetError

SMALL = ClearData(classes=3, buckets=3, images=5, size=16)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "clear"
    SMALL.write(root)
    return root


def test_it_reads_back_with_its_splits(written: Path) -> None:
    splits = read_clear(written, evaluation_protocol="iid", seed=2)
    assert splits.buckets == ("1", "2", "3")
    assert splits.class_names == ("plain_disc", "plain_square", "plain_cross")
    assert [(len(a), len(b)) for a, b in zip(splits.train, splits.test, strict=True)] == [
        (11, 4)
    ] * 3
    assert splits.train[0][0][0].shape == (3, 16, 16)
    assert splits.notes == ()


def test_dates_grow_with_the_bucket_and_ids_are_numbers(written: Path) -> None:
    found = [
        sorted(
            record["DATE_TAKEN"]
            for path in (written / f"labeled_metadata/{bucket}").iterdir()
            for record in json.loads(path.read_text()).values()
        )
        for bucket in (1, 2, 3)
    ]
    assert found[0][-1] < found[1][0] < found[1][-1] < found[2][0]
    ids = [path.stem for path in written.rglob("*.jpg")]
    assert all(image_id.isdecimal() for image_id in ids)
    assert len(set(ids)) == 45


def test_writing_again_keeps_it_and_other_arguments_are_refused(written: Path) -> None:
    file = written / "class_names.txt"
    before = file.stat().st_mtime_ns
    SMALL.write(written)
    assert file.stat().st_mtime_ns == before
    with pytest.raises(DatasetError, match=r"generated with other arguments: seed=0, now 1"):
        ClearData(classes=3, buckets=3, images=5, size=16, seed=1).write(written)


def test_few_shot_lists_may_be_added_and_lost_files_are_noticed(tmp_path: Path) -> None:
    root = tmp_path / "clear"
    SMALL.write(root)
    get_fewshot_indices(root, 2, 0)
    SMALL.write(root)
    with pytest.raises(DatasetError, match="seed=0, now 1"):
        ClearData(classes=3, buckets=3, images=5, size=16, seed=1).write(root)
    shutil.rmtree(root / "labeled_images")
    with pytest.raises(DatasetError, match=r"holds \d+ files of the \d+ generated"):
        SMALL.write(root)
    (root / "demo_data.json").write_text("{")
    with pytest.raises(DatasetError, match="is damaged"):
        SMALL.write(root)


def test_the_seed_decides(written: Path, tmp_path: Path) -> None:
    SMALL.write(tmp_path / "same")
    ClearData(classes=3, buckets=3, images=5, size=16, seed=1).write(tmp_path / "other")

    def content(root: Path) -> list[bytes]:
        return [path.read_bytes() for path in sorted(root.rglob("*.jpg"))]

    assert content(tmp_path / "same") == content(written)
    assert content(tmp_path / "other") != content(written)


def accuracies(root: Path, drift: float) -> list[float]:
    """Return the accuracy on each bucket of the first one's nearest neighbours."""
    ClearData(classes=2, buckets=3, images=60, size=16, drift=drift).write(root)
    splits = read_clear(root, evaluation_protocol="iid", seed=0)

    def pixels(data: ClassDataset) -> np.ndarray:
        return np.stack([data[k][0].numpy().ravel() for k in range(len(data))]).astype(float)

    known = pixels(splits.train[0])
    found = []
    for data in splits.test:
        nearest = ((pixels(data)[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)
        found.append(float((splits.train[0].targets[nearest] == data.targets).mean()))
    return found


def test_drift_makes_later_buckets_harder(tmp_path: Path) -> None:
    drifting = accuracies(tmp_path / "drifting", 1.0)
    still = accuracies(tmp_path / "still", 0.0)
    assert drifting[0] >= 0.8
    assert drifting[2] <= drifting[0] - 0.2
    assert min(still) >= 0.8


def test_a_config_finds_it_by_its_name() -> None:
    data = build_component(GENERATORS, {"type": "ClearData", "images": 3}, "here")
    assert data == ClearData(images=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be a whole number >= 2, got 1"),
        ({"classes": 19}, "classes=19: only 18 can be painted"),
        ({"images": 2.0}, r"images must be a whole number >= 1, got 2\.0"),
        ({"size": 8}, "size must be a whole number >= 16"),
        ({"drift": -0.1}, r"drift must lie in 0\.\.2, got -0\.1"),
        ({"drift": float("nan")}, r"drift must lie in 0\.\.2"),
        ({"drift": "strong"}, r"drift must lie in 0\.\.2"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"ClearData: {message}"):
        ClearData(**arguments)
