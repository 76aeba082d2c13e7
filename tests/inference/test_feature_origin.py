"""Features of two networks do not lie in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.inference.feature_origin import claim_folder, describe_origin
from cliqa.inference.features import PREPROCESSING
from cliqa.models.backbones.extractor import build_extractor
from cliqa.models.build import build_model
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import DatasetError, ModelError

ARCH = {"type": "SmallConvNet", "in_channels": 3, "channels": (4, 8)}


def origin_of(
    folder: Path, seed: int = 0, file: str = "a.pth", steps: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the account of a network whose weights follow from a seed."""
    torch.manual_seed(seed)
    torch.save(build_model(ARCH).state_dict(), folder / file)
    pipeline = build_pipeline(steps or PREPROCESSING, "steps", quality=False)
    return describe_origin(ARCH, folder / file, build_extractor(ARCH, folder / file), pipeline)


def test_the_account_is_plain_and_follows_the_weights(tmp_path: Path) -> None:
    first, same, other = (origin_of(tmp_path, seed) for seed in (0, 0, 1))
    assert json.loads(json.dumps(first)) == first == same
    assert first["dim"] == 8
    assert first["versions"]["torch"] == torch.__version__
    assert [step["type"] for step in first["preprocessing"]] == [s["type"] for s in PREPROCESSING]
    assert {k for k in first if first[k] != other[k]} == {"weights_sha256", "checkpoint_sha256"}


def test_the_same_network_may_go_on(tmp_path: Path) -> None:
    origin = origin_of(tmp_path)
    claim_folder(tmp_path, "tiny", origin, overwrite=False)
    (tmp_path / "features/tiny/bus.pth").write_bytes(b"kept")
    renamed = origin_of(tmp_path, file="b.pth") | {"versions": {}}
    claim_folder(tmp_path, "tiny", renamed, overwrite=False)
    assert (tmp_path / "features/tiny/bus.pth").is_file()
    assert json.loads((tmp_path / "features/tiny/extractor.json").read_text()) == origin


def test_another_network_is_refused(tmp_path: Path) -> None:
    claim_folder(tmp_path, "tiny", origin_of(tmp_path), overwrite=False)
    other = origin_of(tmp_path, seed=1)
    with pytest.raises(
        DatasetError, match=r"tiny: .*in another way; these differ: weights_sha256\. Ch"
    ):
        claim_folder(tmp_path, "tiny", other, overwrite=False)
    steps = [{"type": "Resize", "size": (256, 256)}, *PREPROCESSING[1:]]
    with pytest.raises(DatasetError, match=r"these differ: preprocessing\."):
        claim_folder(tmp_path, "tiny", origin_of(tmp_path, steps=steps), overwrite=False)
    with pytest.raises(DatasetError, match=r"these differ: arch\."):
        claim_folder(tmp_path, "tiny", origin_of(tmp_path) | {"arch": "x"}, overwrite=False)


def test_overwrite_removes_what_was_there(tmp_path: Path) -> None:
    claim_folder(tmp_path, "tiny", origin_of(tmp_path), overwrite=False)
    joined = tmp_path / "training_folder/features/tiny/1/all.pth"
    joined.parent.mkdir(parents=True)
    joined.write_bytes(b"old")
    (tmp_path / "features/tiny/bus.pth").write_bytes(b"old")
    other = origin_of(tmp_path, seed=1)
    claim_folder(tmp_path, "tiny", other, overwrite=True)
    assert not joined.exists()
    assert [path.name for path in (tmp_path / "features/tiny").iterdir()] == ["extractor.json"]
    assert json.loads((tmp_path / "features/tiny/extractor.json").read_text()) == other


@pytest.mark.parametrize("folder", ["features/tiny", "training_folder/features/tiny"])
def test_features_of_unknown_origin_are_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / ".extractor.json.a1b2c3d4.tmp").write_bytes(b"left by a killed run")
    origin = origin_of(tmp_path)
    (tmp_path / folder / "1").mkdir()
    with pytest.raises(DatasetError, match=rf"{folder}: holds features, and no extractor\.json"):
        claim_folder(tmp_path, "tiny", origin, overwrite=False)
    (tmp_path / folder / "1").rmdir()
    claim_folder(tmp_path, "tiny", origin, overwrite=False)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_account_is_refused(tmp_path: Path, text: str) -> None:
    origin = origin_of(tmp_path)
    claim_folder(tmp_path, "tiny", origin, overwrite=False)
    (tmp_path / "features/tiny/extractor.json").write_text(text)
    with pytest.raises(DatasetError, match=r"extractor\.json: damaged \(.*Choose another name"):
        claim_folder(tmp_path, "tiny", origin, overwrite=False)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ({**ARCH, "in_channels": 1}, r"takes images \(B, 1, H, W\)"),
        (
            {"type": "TorchvisionBackbone", "arch": "vit_b_32", "nodes": ["encoder"]},
            r"arch: the network cannot take images of shape \(3, 256, 256\).*images of 224 pixels",
        ),
    ],
)
def test_a_network_for_other_images_is_refused(
    tmp_path: Path, arch: dict[str, Any], message: str
) -> None:
    torch.save(build_model(arch).state_dict(), tmp_path / "a.pth")
    extractor = build_extractor(arch, tmp_path / "a.pth")
    steps: list[dict[str, Any]] = [{"type": "Resize", "size": 256}, {"type": "ToTensor"}]
    pipeline = build_pipeline(steps, "steps", quality=False)
    with pytest.raises(ModelError, match=message):
        describe_origin(arch, None, extractor, pipeline)
