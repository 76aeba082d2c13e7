"""Backends and their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cliqa.deploy.backends import SUFFIXES, backend_of, convert, open_exported
from cliqa.utils.errors import ArtifactError


def test_a_file_is_opened_by_its_suffix(tmp_path: Path) -> None:
    assert [backend_of(f"m{suffix}") for suffix in SUFFIXES.values()] == list(SUFFIXES)
    for suffix in SUFFIXES.values():
        with pytest.raises(ArtifactError, match=rf"m\{suffix}: no such file"):
            open_exported(tmp_path / f"m{suffix}")


def test_images_are_asked_for_only_where_a_conversion_needs_them(
    onnx_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    source = onnx_folder / "linear.onnx"

    def none() -> list[torch.Tensor]:
        raise AssertionError("no images are needed")

    report = convert(source, tmp_path / "m.xml", "openvino", "bf16", none)
    assert report.precision == "bf16"
    images = [torch.rand(8, 3, 16, 16)]
    half = convert(source, tmp_path / "m.onnx", "onnxruntime", "fp16", lambda: images)
    assert half.fidelity is not None
    assert half.fidelity.images == 8
