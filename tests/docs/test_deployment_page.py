"""The functions of the deployment tutorial give the scores of the run that a file is from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.compress.export import export_checkpoint
from cliqa.compress.self_contained import export_self_contained
from cliqa.inference.predict import Predictor

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.usefixtures("quick_exports"), pytest.mark.integration]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "deployment.md"
TO_FLOAT: list[dict[str, Any]] = [
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]
STEPS: list[list[dict[str, Any]]] = [
    [
        {"type": "Resize", "size": 40},
        {"type": "GridCrop", "size": 24, "rows": 2, "columns": 3},
        *TO_FLOAT,
    ],
    [{"type": "Resize", "size": 31}, {"type": "CenterCrop", "size": 24}, *TO_FLOAT],
]


def function_of(name: str) -> Callable[[str, str], Any]:
    """Return a function of the page."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if f"def {name}(" in block]
    assert len(code.partition("session =")[2].splitlines()) <= 25
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    found: Callable[[str, str], Any] = names[name]
    return found


@pytest.mark.parametrize("steps", STEPS)
def test_they_score_like_the_run(
    steps: list[dict[str, Any]], tiny_run: Path, tmp_path: Path
) -> None:
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    state["config"]["scenario"]["eval_transform"] = steps
    torch.save(state, tmp_path / "own.pth")
    draw, photos = np.random.default_rng(0), []
    for k, (height, width) in enumerate([(60, 80), (33, 57), (40, 40), (300, 200), (21, 90)]):
        pixels = draw.integers(0, 200) + draw.integers(0, 56, (height, width, 3))
        photos.append(tmp_path / f"{k}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(photos[-1])
    wanted = [
        row.score for row in Predictor(tmp_path / "own.pth", torch.device("cpu")).predict(photos)
    ]
    plain = export_checkpoint(tmp_path / "own.pth", tmp_path / "m.onnx").path
    pixels_file = export_self_contained(plain, tmp_path / "p.onnx", scale=(0, 1)).path
    for file, name in ((plain, "score_image"), (pixels_file, "score_pixels")):
        function = function_of(name)
        found = [float(function(str(file), str(photo))) for photo in photos]
        assert found == pytest.approx(wanted, abs=1e-3)
