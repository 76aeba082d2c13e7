from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from cliqa.datasets.quality.ava import AVA
from cliqa.datasets.quality.by_path import AVADataset, EVADataset
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError, DatasetError

SIZES = [(40, 60), (80, 50), (64, 64), (90, 33)] * 3


def images(folder: Path, names: list[str]) -> None:
    """Write images of several sizes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, size in zip(names, SIZES, strict=True):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / name)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the labels and images of both data sets, far from each other."""
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "photos" / "eva", [f"image_{k:03}.jpg" for k in range(12)])
    images(tmp_path / "ava_images", [f"ava_{k:03}.jpg" for k in range(12)])
    rows = "".join(f"image_{k:03},{k / 2}\n" for k in range(12))
    (tmp_path / "eva_labels.csv").write_text(f"image_id,score\n{rows}")
    rows_of_ava = [{"image": f"ava_{k:03}.jpg", "score": 1 + k / 2} for k in range(12)]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "ava_labels.json").write_text(json.dumps({"files": rows_of_ava}))
    return tmp_path


def test_two_paths_are_enough_for_a_loader(files: Path) -> None:
    eva = EVADataset(image_dir="./photos/eva", label_file="./eva_labels.csv")
    ava = AVADataset(label_file="tables/ava_labels.json", img_root="./ava_images", image_size=32)
    assert (eva.name, ava.name, len(eva), len(ava)) == ("eva", "ava", 12, 12)
    batch, scores = next(iter(DataLoader(eva, batch_size=12)))
    assert batch.shape == (12, 3, 224, 224)
    assert torch.allclose(scores, torch.arange(12) / 20)
    batch, scores = next(iter(DataLoader(ava, batch_size=12)))
    assert batch.shape == (12, 3, 32, 32)
    assert torch.allclose(scores, torch.arange(12) / 18)


def test_images_are_those_of_a_configs_pipeline(files: Path) -> None:
    ava = AVADataset(Path("tables/ava_labels.json"), Path("ava_images"), image_size=32)
    stored = AVA(files, labels="tables/ava_labels.json", images="ava_images")
    steps: list[dict[str, Any]] = [
        {"type": "Resize", "size": 32},
        {"type": "CenterCrop", "size": 32},
        {"type": "ToTensor"},
        {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    ]
    assert torch.equal(ava[3][0], build_pipeline(steps, "test")(stored[3][0]))
    plain = AVADataset("tables/ava_labels.json", "ava_images", image_size=None)
    assert torch.equal(plain[3][0], stored[3][0])


def test_a_split_and_the_readers_own_arguments(files: Path) -> None:
    data = EVADataset("photos/eva", "eva_labels.csv", seed=3, fractions=(0.5, 0.25, 0.25))
    train = data.subset("train")
    assert len(train) == 6
    assert train[0][0].shape == (3, 224, 224)


def test_the_official_files_by_path(layout: Callable[[str], Path]) -> None:
    root = layout("AVA")
    listed = root / "aesthetics_image_lists" / "generic_test.jpgl"
    data = AVADataset(root / "AVA.txt", root / "ava_images", test_list=str(listed))
    assert data.splits == AVA(root).splits


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EVADataset("nowhere", "eva_labels.csv"), "EVADataset: image_dir='nowhere' is no"),
        (lambda: AVADataset("x.json", "ava_images"), "AVADataset: label_file='x.json' is no file"),
        (lambda: AVADataset("eva_labels.csv", "nowhere"), "AVADataset: img_root='nowhere' is no"),
    ],
)
def test_a_wrong_path_is_told_by_its_own_name(
    make: Callable[[], Any], message: str, files: Path
) -> None:
    with pytest.raises(DatasetError, match=message):
        make()


def test_a_size_that_is_none(files: Path) -> None:
    with pytest.raises(ConfigError, match="EVADataset: image_size must be pixels, or None, got 0"):
        EVADataset("photos/eva", "eva_labels.csv", image_size=0)
