"""Half precision."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.onnx import half
from cliqa.deploy.onnx.graph import get_metadata, load_graph, onnx_forward
from cliqa.deploy.onnx.half import autocast_forward, to_float16
from cliqa.utils.errors import ArtifactError, ModelError

Pictures = Callable[..., list[Tensor]]


def test_a_file_is_half_as_large_and_says_nearly_the_same(
    write_model: Callable[..., Path], tmp_path: Path, pictures: Pictures
) -> None:
    body = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))
    source, target = write_model(nn.Sequential(body, head)), tmp_path / "half.onnx"
    report = to_float16(source, target, pictures())
    assert report.bytes_after == target.stat().st_size
    assert 1.9 < report.ratio < 2.05
    assert report.precision == "fp16"
    assert report.fidelity is not None
    assert report.fidelity.plcc == pytest.approx(1.0, abs=1e-3)
    images = pictures(1, seed=3)[0]
    found, exact = onnx_forward(target, 1)(images), onnx_forward(source, 1)(images)
    assert found.dtype == torch.float32
    assert torch.allclose(found, exact, atol=2e-3)
    assert not torch.equal(found, exact)
    assert json.loads(get_metadata(load_graph(target), target)["cliqa"])["precision"] == "fp16"


@pytest.mark.parametrize("kind", ["linear", "cosine", "generated"])
def test_every_kind_of_head(
    kind: str, onnx_folder: Path, tmp_path: Path, pictures: Pictures
) -> None:
    report = to_float16(onnx_folder / f"{kind}.onnx", tmp_path / "half.onnx", pictures(1))
    assert report.fidelity is not None
    assert report.fidelity.rank > 0.7
    assert report.fidelity.error is not None
    assert report.fidelity.error < 0.1


def test_what_overflows_is_refused(
    write_model: Callable[..., Path], tmp_path: Path, pictures: Pictures
) -> None:
    class Loud(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images * 1e3).square().mean((1, 2, 3)) / 1e6

    source, target = write_model(Loud()), tmp_path / "half.onnx"
    with pytest.raises(ModelError, match=r"float16 changes outputs|second model gives NaN"):
        to_float16(source, target, pictures(1))
    assert not target.exists()
    with pytest.raises(ArtifactError, match="no such file"):
        to_float16(tmp_path / "none.onnx", target, pictures(1))


def test_a_file_in_float16_is_refused(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures
) -> None:
    to_float16(onnx_folder / "linear.onnx", tmp_path / "half.onnx", pictures(1))
    with pytest.raises(ModelError, match=r"half\.onnx is in float16 already"):
        to_float16(tmp_path / "half.onnx", tmp_path / "twice.onnx", pictures(1))


def test_too_coarse_a_file_is_refused(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half, "TOLERANCE", 1e-9)
    message = r"float16 changes outputs of up to .* by up to .*Use int8 or bfloat16"
    with pytest.raises(ModelError, match=message):
        to_float16(onnx_folder / "linear.onnx", tmp_path / "half.onnx", pictures(1))


def test_bfloat16_by_autocast(scorer: nn.Module) -> None:
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        exact = scorer(images)
    found = autocast_forward(scorer)(images)
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert torch.allclose(found, exact, atol=0.02)
