"""Where the time of a file goes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cliqa.deploy.operator_times import operator_times
from cliqa.utils.errors import ArtifactError


def test_every_node_is_timed_and_the_largest_kind_comes_first(onnx_folder: Path) -> None:
    found = operator_times(onnx_folder / "linear.onnx", torch.randn(2, 3, 16, 16), passes=3)
    assert {"convolution", "matrix product"} <= set(found)
    assert "depthwise convolution" not in found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(value >= 0 for value in found.values())


def test_what_is_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=r"x\.onnx"):
        operator_times(tmp_path / "x.onnx", torch.zeros(1, 3, 8, 8))
