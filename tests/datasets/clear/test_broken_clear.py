"""Every way in which a tree can be wrong gives one DatasetError that says what and where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.datasets.clear.fewshot import get_fewshot_indices
from cliqa.datasets.clear.read import read_clear
from cliqa.utils.errors import DatasetError

Damage = Callable[[Path], object]

STREAM: dict[str, Any] = {}
IID: dict[str, Any] = {"evaluation_protocol": "iid", "seed": 0}
SHOTS: dict[str, Any] = {**IID, "shot": 2}
FEATURES: dict[str, Any] = {"feature_type": "moco_b0"}
IID_FEATURES: dict[str, Any] = {**IID, **FEATURES}

ALL = "training_folder/filelists/2/all.txt"
SPLIT = "training_folder/testset_ratio_0.3/split_0/2"
FEW = "training_folder/2_shot/split_0/2/train_indices.json"
JOINED = "training_folder/features/moco_b0/2/all.pth"
BUS = "labeled_metadata/2/bus.json"


def content(text: str | bytes) -> Damage:
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def append(line: str) -> Damage:
    return lambda path: path.write_text(path.read_text() + line + "\n")


def copied(name: str) -> Damage:
    """Return a damage that puts another file of its folder in the file's place."""
    return lambda path: shutil.copy(path.with_name(name), path)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def tensors(change: Callable[[Any], Any]) -> Damage:
    return lambda path: torch.save(change(torch.load(path, weights_only=True)), path)


def values(change: Callable[[Any], Any]) -> Damage:
    return lambda path: path.write_text(json.dumps(change(json.loads(path.read_text()))))


def with_nan(features: torch.Tensor) -> torch.Tensor:
    features[3, 1] = float("nan")
    return features


PREPARE = r"Write it with: cliqa data clear prepare "
OVERWRITE = r"features .* --name moco_b0 --overwrite"
OLD: list[tuple[dict[str, Any], str, Damage, str]] = [
    (STREAM, "training_folder", remove, rf"bucket_indices\.json: missing\. {PREPARE}"),
    (STREAM, "class_names.txt", remove, r"class_names\.txt: missing\. Copy or download"),
    (STREAM, ALL, remove, rf"{ALL}: missing\. {PREPARE}"),
    (STREAM, ALL, content("\n"), f"{ALL}: lists no image; a bucket cannot be empty"),
    (STREAM, ALL, append("labeled_images/2/bus/2107.jpg"), "line 25: .* has no class"),
    (STREAM, ALL, append("labeled_images/2/bus/5.jpg 3"), r"line 25: class 3 .* 0\.\.2"),
    (STREAM, ALL, append("labeled_images/2/bus/2107.jpg 1"), "line 25: .* is also in line 10"),
    (STREAM, ALL, content(b"\xff\xfe"), f"{ALL}: not UTF-8 text"),
    (STREAM, "training_folder/bucket_indices.json", content("[1"), "line 1, column 3: no valid"),
    (STREAM, "training_folder/bucket_indices.json", content("{}"), "a JSON list of buckets"),
    (
        STREAM,
        "labeled_images/2/bus/2107.jpg",
        remove,
        rf"1 of 72 images .*: labeled_images/2/bus/2107\.jpg \({ALL}, line 10\)\. Unpack",
    ),
    (STREAM, "labeled_images/2", remove, r"24 of 72 images are missing: .* and 19 more\."),
    (IID, f"{SPLIT}/train.txt", remove, rf"{SPLIT}/train\.txt: missing\. {PREPARE}"),
    (IID, f"{SPLIT}/test.txt", content(""), r"test\.txt: lists no image"),
    (IID, f"{SPLIT}/test.txt", content("labeled_images/2/bus/5.jpg 1"), "line 1: .* is not in"),
    (IID, f"{SPLIT}/test.txt", content("labeled_images/2/bus/2107.jpg 0"), "class 0, but class 1"),
    (IID, f"{SPLIT}/test.txt", copied("train.txt"), f"{SPLIT}: 17 images are in train and in"),
    (IID_FEATURES, f"{SPLIT}/test_indices.json", remove, rf"indices\.json: missing\. {PREPARE}"),
    (IID_FEATURES, f"{SPLIT}/test_indices.json", content("[3, 3]"), "index 3 occurs twice"),
    (
        IID_FEATURES,
        f"{SPLIT}/test_indices.json",
        values(lambda indices: indices[1:]),
        "not the images of .* split in two ways",
    ),
    (SHOTS, FEW, remove, r"missing\. Write it with: .* fewshot \S+ --shot 2 --seed 0"),
    (SHOTS, FEW, copied("test_indices.json"), "is not in the training split of seed 0"),
    (SHOTS, FEW, content("[99]"), "index 99 is out of range"),
    (FEATURES, JOINED, remove, rf"{JOINED}: missing\. Write it with: .*features .* --name moco_b0"),
    (FEATURES, JOINED, truncated, rf"{JOINED}: no readable tensors .*{OVERWRITE}"),
    (FEATURES, JOINED, content(b"\x80\x02X\x01"), f"{JOINED}: no readable tensors"),
    (FEATURES, JOINED, content(b""), f"{JOINED}: no readable tensors"),
    (FEATURES, JOINED, content(b"\x80\x02cposix\nsystem\n."), "no readable tensors"),
    (FEATURES, JOINED, tensors(lambda v: v[0]), "expected a pair of .* got a Tensor"),
    (FEATURES, JOINED, tensors(lambda v: (v[0][1:], v[1])), "23 features for the 24 images"),
    (FEATURES, JOINED, tensors(lambda v: (v[0], v[1][::-1])), "its classes are not those of"),
    (FEATURES, JOINED, tensors(lambda v: (v[0], 5)), "its classes are not those of"),
    (FEATURES, JOINED, tensors(lambda v: (with_nan(v[0]), v[1])), "feature 3 is not finite"),
    (FEATURES, JOINED, tensors(lambda v: (v[0][:, :2], v[1])), r"length: 3 \(bucket 1\) and 2"),
    (FEATURES, JOINED, tensors(lambda v: (v[0].long(), v[1])), r"got torch\.int64 \(24, 3\)"),
    (FEATURES, JOINED, tensors(lambda v: ("a", v[1])), r"must be float \(N, D\), got str"),
    (FEATURES, JOINED, tensors(lambda v: ([1.5] * 24, v[1])), r"\(N, D\), got 1\.5"),
    (
        FEATURES,
        JOINED,
        tensors(lambda v: ([*v[0][1:], v[0][0, :2]], v[1])),
        r"got rows of shapes \[\(2,\), \(3,\)\]",
    ),
]
NEW: list[tuple[dict[str, Any], str, Damage, str]] = [
    (STREAM, "test", remove, r"test/labeled_metadata\.json: missing\. Unpack both archives"),
    (STREAM, "train/class_names.txt", content("dress\nbus\n"), r"class_names\.txt differ"),
    (STREAM, f"test/{BUS}", remove, rf"test/{BUS}: missing"),
    (STREAM, f"test/{BUS}", content("{"), rf"test/{BUS}, line 1, column 2: no valid JSON"),
    (STREAM, f"test/{BUS}", content('{"1": {}, "1": {}}'), "'1' occurs twice"),
    (STREAM, f"test/{BUS}", content('{"1": {}}'), "image 1 has no IMG_PATH"),
    (
        STREAM,
        "test/labeled_metadata.json",
        values(lambda index: {bucket: index[bucket] for bucket in ("1", "2")}),
        r"train/labeled_metadata\.json: bucket 10 is only in train",
    ),
    (
        IID,
        f"test/{BUS}",
        values(lambda v: {**v, "2100": {"IMG_PATH": "labeled_images/2/bus/102100.jpg2"}}),
        r"1 images of bucket 2 are in train and in test, e\.g\. 2100",
    ),
    (
        IID,
        f"test/{BUS}",
        values(lambda v: {**v, "102000": {"IMG_PATH": "labeled_images/2/bus/102000.jpg"}}),
        "image 102000 is also in class 'dress' of bucket 2",
    ),
    (
        STREAM,
        "train/labeled_images/2/bus/2107.jpg",
        remove,
        rf"1 of 108 images .*2107\.jpg \(train/{BUS}, image 2107\)",
    ),
    (SHOTS, FEW, remove, r"missing\. Write it with: .* fewshot \S+ --shot 2 --seed 0"),
    (SHOTS, FEW, content("[24]"), r"index 24 is out of range; bucket 2 of train lists 24"),
    (FEATURES, "test/features", remove, r"features\.json: missing\. Write it .* --name moco_b0"),
    (
        FEATURES,
        "test/features/moco_b0/features.json",
        values(lambda index: {"1": index["1"]}),
        r"features\.json: no bucket 2\. Write it with: .*--overwrite",
    ),
    (
        FEATURES,
        "test/features/moco_b0/features.json",
        values(lambda index: {b: {"dress": files["dress"]} for b, files in index.items()}),
        "bucket 1 has no class 'bus'",
    ),
    (FEATURES, "test/features/moco_b0/2/bus.pth", remove, r"2/bus\.pth: missing"),
    (FEATURES, "test/features/moco_b0/2/bus.pth", truncated, r"2/bus\.pth: no readable tensors"),
    (
        FEATURES,
        "test/features/moco_b0/2/bus.pth",
        tensors(lambda rows: list(rows.values())),
        r"2/bus\.pth: expected features by image id, got a list",
    ),
    (
        FEATURES,
        "test/features/moco_b0/2/bus.pth",
        tensors(lambda rows: {k: row for k, row in rows.items() if k != "102100"}),
        r"2/bus\.pth: no feature of image 102100",
    ),
    (
        FEATURES,
        "test/features/moco_b0/2/bus.pth",
        tensors(lambda rows: {**rows, "5": rows["102100"]}),
        r"2/bus\.pth: features of 5, which the metadata does not list",
    ),
    (
        FEATURES,
        "test/features/moco_b0/2/bus.pth",
        tensors(lambda rows: {k: row[:2] for k, row in rows.items()}),
        "bucket 2 has features of 2 and of 3 numbers",
    ),
]
CASES = [("old", *case) for case in OLD] + [("new", *case) for case in NEW]


@pytest.mark.parametrize(("layout", "options", "file", "damage", "message"), CASES)
def test_a_damaged_tree_gives_advice(
    copy_of: Callable[[str], Path],
    layout: str,
    options: dict[str, Any],
    file: str,
    damage: Damage,
    message: str,
) -> None:
    root = copy_of(layout)
    get_fewshot_indices(root, 2, 0)
    read_clear(root, **options)
    damage(root / file)
    with pytest.raises(DatasetError, match=message) as caught:
        read_clear(root, **options)
    assert str(root) in str(caught.value)


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        read_clear(tmp_path / "nowhere")
