"""Small CLEAR trees in both layouts, written by hand: 3 classes, 3 buckets, 8 images of each."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.datasets.clear.prepare import prepare

CLASSES = ("dress", "bus", "camera")
BUCKETS = ("1", "2", "10")
COUNTS = {"": 8, "train": 8, "test": 4}


def encoded(place: int) -> bytes:
    """Return an 8 x 6 image of a colour of its own."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (place * 37 % 256, place * 101 % 256, place * 7 % 256)).save(
        buffer, "JPEG"
    )
    return buffer.getvalue()


def write_part(
    folder: Path, classes: tuple[str, ...] = CLASSES, part: str = "", **extra: Any
) -> None:
    """Write the metadata and the images of one part; ids differ over parts, buckets, classes.

    Features 'moco_b0', stored class by class, hold (bucket, class, id).
    """
    index: dict[str, dict[str, str]] = {}
    features: dict[str, dict[str, str]] = {}
    for bucket in reversed(BUCKETS):  # the order of the file is not the order of time
        for target, name in enumerate(classes):
            records, rows = {}, {}
            place = f"labeled_images/{bucket}/{name}"
            (folder / place).mkdir(parents=True)
            for k in range(COUNTS[part]):
                number = 100000 * (part == "test") + 1000 * int(bucket) + 100 * target + 7 * k % 8
                records[str(number)] = {
                    "ID": str(number),
                    "EXT": "jpg",
                    "IMG_DIR": place,
                    "IMG_PATH": f"{place}/{number}.jpg",
                    "DATE_TAKEN": f"20{int(bucket):02d}-0{1 + (5 * k + target) % 8}-01 12:00:00.0",
                    **extra,
                }
                rows[str(number)] = torch.tensor([int(bucket), target, number], dtype=torch.float64)
                (folder / place / f"{number}.jpg").write_bytes(encoded(number))
            index.setdefault(bucket, {})[name] = f"labeled_metadata/{bucket}/{name}.json"
            features.setdefault(bucket, {})[name] = f"features/moco_b0/{bucket}/{name}.pth"
            write_json(folder / index[bucket][name], records)
            (folder / features[bucket][name]).parent.mkdir(parents=True, exist_ok=True)
            torch.save(rows, folder / features[bucket][name])
    write_json(folder / "labeled_metadata.json", index)
    write_json(folder / "features/moco_b0/features.json", features)
    (folder / "class_names.txt").write_text("\n".join(classes), encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="session")
def old_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prepared data set in the old layout: only read it."""
    root = tmp_path_factory.mktemp("clear") / "old"
    write_part(root)
    prepare(root)
    return root


@pytest.fixture(scope="session")
def new_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data set in the new layout: only read it."""
    root = tmp_path_factory.mktemp("clear") / "new"
    for part in ("train", "test"):
        write_part(root / part, part=part)
    return root


@pytest.fixture
def copy_of(tmp_path: Path, old_tree: Path, new_tree: Path) -> Callable[[str], Path]:
    """Return a function that copies one of the two data sets, by its layout, for a test."""

    def copy(layout: str) -> Path:
        root = tmp_path / layout
        shutil.copytree({"old": old_tree, "new": new_tree}[layout], root)
        return root

    return copy


@pytest.fixture
def written_tree(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a data set in the old layout with other classes or records."""

    def write(**arguments: Any) -> Path:
        root = tmp_path / "written"
        write_part(root, **arguments)
        return root

    return write
