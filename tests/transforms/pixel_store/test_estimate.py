"""The estimate of the room that images take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.transforms.decode import read_image
from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.pixel_store.estimate import kept_bytes, mean_bytes
from cliqa.transforms.staged import StagedPipeline, stages

FIXED: list[list[dict[str, Any]]] = [
    [],
    [{"type": "Resize", "size": 20}],
    [{"type": "Resize", "size": [10, 12]}, {"type": "CenterCrop", "size": 8}],
    [{"type": "AdaptiveResize", "size": 15}],
    [{"type": "HyperIQAResize"}],
    [{"type": "ResizePad", "size": 16}],
    [{"type": "Grayscale"}],
]


@pytest.mark.parametrize("steps", FIXED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
def test_it_is_what_an_image_takes(
    steps: list[dict[str, Any]], suffix: str, tmp_path: Path
) -> None:
    file = str(tmp_path / f"a.{suffix}")
    Image.new("RGB", (50, 37), (1, 2, 3)).save(file)
    pipeline = build_pipeline([*steps, {"type": "ToTensor"}], "x", quality=False)
    image = read_image(file)
    for step in stages(pipeline)[0]:
        image = step.transform(image)
    assert kept_bytes(file, pipeline) == image.numel()
    assert StagedPipeline(pipeline)(torch.zeros_like(read_image(file))).shape == image.shape


def test_files_that_cannot_be_read_do_not_count(tmp_path: Path) -> None:
    pipeline = build_pipeline([], "x")
    good, bad = tmp_path / "a.png", tmp_path / "b.png"
    Image.new("RGB", (10, 10)).save(good)
    bad.write_text("no image")
    assert mean_bytes([str(good), str(bad), str(tmp_path / "none.png")], pipeline) == 300
    assert mean_bytes([str(bad)], pipeline) == 0
    assert mean_bytes([], pipeline) == 0


def test_a_sample_of_files_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def size(file: str, _: object) -> int:
        asked.append(file)
        return 100

    monkeypatch.setattr("cliqa.transforms.pixel_store.estimate.kept_bytes", size)
    assert mean_bytes([str(k) for k in range(1000)], build_pipeline([], "x")) == 100
    assert len(asked) == 32
    assert asked[-1] > "9"
