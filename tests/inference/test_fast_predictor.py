"""An ONNX file's scores without torch: those with torch, bit for bit, and at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.compress.export import export_checkpoint
from cliqa.config.trust import trusting
from cliqa.datasets.labels.scale import Scale
from cliqa.inference.fast_predictor import (
    MANY,
    FastPredictor,
    open_fast,
    open_predictor,
    scaling,
)
from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score
from cliqa.utils.errors import ArtifactError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.usefixtures("quick_exports"), pytest.mark.integration]

TOOL = Path(__file__).resolve().parents[2] / "tools" / "predict.py"
CPU = torch.device("cpu")
TO_FLOAT: list[dict[str, Any]] = [
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]
GRID: list[dict[str, Any]] = [
    {"type": "Resize", "size": 20},
    {"type": "GridCrop", "size": 16, "rows": 2, "columns": 2},
    *TO_FLOAT,
]
CENTER: list[dict[str, Any]] = [{"type": "CenterCrop", "size": 16}, *TO_FLOAT]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return images of many sizes and kinds, one of them damaged."""
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = []
    for k, (height, width) in enumerate([(40, 60)] * 3 + [(16, 16)] * 9 + [(23, 90), (16, 70)]):
        pixels = draw.integers(0, 200) + draw.integers(0, 56, (height, width, 3))
        paths.append(folder / f"{k:02}.{'png' if k % 2 else 'jpg'}")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    paths.append(folder / "bad.png")
    paths[-1].write_bytes(paths[1].read_bytes()[:200])
    return paths


@pytest.fixture
def export(tiny_run: Path, tmp_path: Path) -> Callable[[list[dict[str, Any]]], Path]:
    """Return a function that exports the shared run with another preprocessing."""

    def write(steps: list[dict[str, Any]]) -> Path:
        state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
        state["config"]["scenario"]["eval_transform"] = steps
        torch.save(state, tmp_path / "own.pth")
        return export_checkpoint(tmp_path / "own.pth", tmp_path / "own.onnx").path

    return write


def scores_of(predictor: Predictor | FastPredictor, photos: list[Path], **how: Any) -> list[Score]:
    """Return all scores."""
    return list(predictor.predict(photos, **how))


@pytest.mark.parametrize("steps", [GRID, TO_FLOAT])
def test_every_bit_is_that_with_torch(
    export: Callable[[list[dict[str, Any]]], Path], steps: list[dict[str, Any]], photos: list[Path]
) -> None:
    file = export(steps)
    fast = open_fast(file)
    assert fast is not None
    wanted = scores_of(Predictor(file, CPU), photos)
    assert len({row.score for row in wanted}) == len(photos)
    assert wanted[-1].error
    for how in ({}, {"num_workers": 0}, {"num_workers": 3}):
        assert scores_of(fast, photos, **how) == wanted
    many = open_fast(file, images=MANY)
    assert many is not None
    assert scores_of(many, photos) == wanted
    small = scores_of(Predictor(file, CPU), photos, batch_size=5)
    assert scores_of(fast, photos, batch_size=5) == small


def test_errors_are_those_with_torch(
    export: Callable[[list[dict[str, Any]]], Path], photos: list[Path], tmp_path: Path
) -> None:
    small = tmp_path / "small.png"
    Image.new("RGB", (15, 40)).save(small)
    file = export(CENTER)
    fast = open_fast(file)
    assert fast is not None
    found = scores_of(fast, [*photos, small])
    assert found == scores_of(Predictor(file, CPU), [*photos, small])
    assert "smaller than the crop" in str(found[-1].error)


def test_classes(
    clear_config: dict[str, Any], run_config: Callable[..., Path], photos: list[Path]
) -> None:
    clear_config["cl_strategy"]["train_epochs"] = 1
    clear_config["scenario"]["eval_transform"] = GRID
    file = export_checkpoint(run_config(clear_config)).path
    fast = open_fast(file)
    assert fast is not None
    found, wanted = scores_of(fast, photos), scores_of(Predictor(file, CPU), photos)
    assert [row.label for row in found] == [row.label for row in wanted]
    for one, other in zip(found[:-1], wanted[:-1], strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-6)


def test_torch_does_other_steps(
    export: Callable[[list[dict[str, Any]]], Path], photos: list[Path]
) -> None:
    file = export([{"type": "Resize", "size": 20, "interpolation": "bicubic"}, *TO_FLOAT])
    fast = open_fast(file)
    assert fast is not None
    assert scores_of(fast, photos) == scores_of(Predictor(file, CPU), photos)


def test_other_models_are_left_to_the_predictor(
    export: Callable[[list[dict[str, Any]]], Path], tiny_run: Path, tmp_path: Path
) -> None:
    file = export(GRID)
    assert open_fast(tiny_run) is None
    with trusting():  # the file may name a step of its own
        assert open_fast(file) is None
    with pytest.raises(ArtifactError, match=r"no\.onnx: no such file"):
        open_fast(tmp_path / "no.onnx")


SCRIPT = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    status = end.code
heavy = "torch torchvision avalanche mmpretrain mmengine mmcv wandb pandas scipy matplotlib".split()
used = resource.getrusage(resource.RUSAGE_SELF)
print([name for name in heavy if name in sys.modules], status, used.ru_utime + used.ru_stime)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource")
def test_the_tool_starts_at_once(
    export: Callable[[list[dict[str, Any]]], Path], photos: list[Path]
) -> None:
    file = export(GRID)
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, TOOL, file, photos[0]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    *table, last = found.stdout.splitlines()
    assert table[0] == "image,score"
    (wanted,) = scores_of(Predictor(file, CPU), photos[:1])
    assert table[1] == f"{photos[0]},{wanted.score:.6f}"
    heavy, _, seconds = last.rpartition(" 0 ")
    assert heavy == "[]"
    assert float(seconds) < 3


def test_images_in_memory_are_scored_as_their_files(
    export: Callable[[list[dict[str, Any]]], Path], photos: list[Path]
) -> None:
    for predictor in (open_predictor(export(CENTER), 1, "cpu"), Predictor(export(CENTER), CPU)):
        samples: list[Any] = [predictor.prepare(path.read_bytes(), path) for path in photos]
        assert predictor.scores(samples) == scores_of(predictor, photos)
        name, image, error = predictor.prepare(b"", Path("none.png"))
        assert (name, image) == (Path("none.png"), None)
        assert error is not None
        assert error.startswith("none.png: cannot be decoded")


def test_a_scale_is_told_with_its_function(tiny_run: Path) -> None:
    predictor = open_predictor(tiny_run, 1, "cpu")
    assert isinstance(predictor, Predictor)
    to_scale, scale = scaling(predictor, (1.0, 5.0))
    assert (to_scale(0.5), scale) == (3.0, Scale(1.0, 5.0))
    assert scaling(predictor)[1] == Scale(0.0, 1.0)
    to_scale, scale = scaling(predictor, dataset="b")
    assert (to_scale(0.25), scale) == (0.25, Scale(0, 1))
