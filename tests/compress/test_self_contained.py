"""A file with its preprocessing inside: the run's scores, on the user's scale, of any image."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cliqa
from cliqa.commands.models.compress import main as compress
from cliqa.commands.models.predict import main as predict
from cliqa.commands.runs.evaluate import main as evaluate
from cliqa.compress.quantize import quantize_model
from cliqa.compress.self_contained import SIZES, SelfContained, export_self_contained
from cliqa.deploy.onnx.file import read_metadata
from cliqa.inference.predict import Predictor
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ConfigError

pytest.importorskip("onnxscript")
runtime = pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.usefixtures("quick_exports"), pytest.mark.integration]

CPU = torch.device("cpu")
STEPS: list[dict[str, Any]] = [
    {"type": "Resize", "size": 20},
    {"type": "GridCrop", "size": 16, "rows": 2, "columns": 3},
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]
RANGE = (0.0, 5.0)
PHOTOS = [(70, 50), (16, 16), (9, 31), (1, 12), (33, 1), (200, 120), (20, 20)]


@pytest.fixture(scope="module")
def run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint like the shared run's, with resizing, crops and a scale of 0..5."""
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    scenario = state["config"]["scenario"]
    scenario["eval_transform"] = STEPS
    for section in scenario["datasets"]:
        section["score_range"] = RANGE
    file = tmp_path_factory.mktemp("own") / "checkpoints" / "last.pth"
    file.parent.mkdir()
    torch.save(state, file)
    return file


@pytest.fixture(scope="module")
def exported(run: Path) -> SelfContained:
    """Return the run's self-contained file."""
    return export_self_contained(run)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return images smaller and larger than the crops, odd ones, and some one pixel wide."""
    folder, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    paths = [folder / f"{height}x{width}.png" for height, width in PHOTOS]
    for path, (height, width) in zip(paths, PHOTOS, strict=True):
        light = draw.integers(0, 200)
        pixels = light + draw.integers(0, 56, (height, width, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return paths


def scores_of(source: Path, photos: list[Path]) -> list[float]:
    """Return scores of 0..1."""
    return [row.score or 0.0 for row in Predictor(source, CPU).predict(photos)]


def test_a_person_with_onnxruntime_alone_gets_the_runs_scores(
    exported: SelfContained, run: Path, photos: list[Path]
) -> None:
    session = runtime.InferenceSession(exported.path, providers=["CPUExecutionProvider"])
    assert [(i.name, i.type, i.shape[3]) for i in session.get_inputs()] == [
        ("pixels", "tensor(uint8)", 3)
    ]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("score", ["batch"])]
    wanted = scores_of(run, photos)
    assert max(wanted) - min(wanted) > 0.05
    for path, score in zip(photos, wanted, strict=True):
        pixels = np.asarray(Image.open(path))[None]
        (found,) = session.run(None, {"pixels": pixels})[0]
        assert found == pytest.approx(5 * min(max(score, 0), 1), abs=5e-3 / 5)
        two = session.run(None, {"pixels": np.concatenate([pixels, pixels])})[0]
        assert two == pytest.approx([found, found], abs=1e-5)


def test_what_is_told(exported: SelfContained, run: Path) -> None:
    assert exported.path == run.parents[1] / "model_self_contained.onnx"
    text = "\n".join(exported.lines())
    assert "output: score (N,), 0 to 5, higher is better (of the run's data sets)" in text
    assert len(exported.parity) == len(SIZES)
    assert max(exported.parity.values()) < 1e-3
    about = read_metadata(exported.path)
    assert (about["input"], about["size"]) == ("pixels", None)
    assert about["scale"] == {"low": 0.0, "high": 5.0, "higher_is_better": True}


def test_our_own_tools_take_it(
    exported: SelfContained, run: Path, photos: list[Path], tmp_path: Path
) -> None:
    wanted = scores_of(run, photos)
    table = cliqa.load(exported.path).predict(photos)
    on_scale = [5 * min(max(score, 0), 1) for score in wanted]
    assert list(table["score"]) == pytest.approx(on_scale, abs=1e-4)
    for scale, expected in ([], on_scale), (["--scale", "0", "1"], wanted):
        out = tmp_path / "s.json"
        given = [str(exported.path), *map(str, photos), "--out", str(out), *scale]
        assert run_entry_point(partial(predict, given)) == 0
        found = [row["score"] for row in json.loads(out.read_text())]
        assert found == pytest.approx(np.clip(expected, 0, 5), abs=1e-4)


def test_it_is_evaluated_like_its_run(
    exported: SelfContained, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(run), str(exported.path), "--datasets", "a", "--out", str(tmp_path)]
    status = run_entry_point(lambda: evaluate([*given, "--allow-changed-data"]))
    assert status == 0, capsys.readouterr().err
    first, second = (
        json.loads(path.read_text())["datasets"]["a"]["metrics"]["plcc"]
        for path in sorted(tmp_path.rglob("eval_results.json"))
    )
    assert first == pytest.approx(second, abs=1e-3)
    capsys.readouterr()
    assert run_entry_point(lambda: evaluate([*given, "--crops", "grid:2x2"])) == 2
    assert "a self-contained file holds its own preprocessing" in capsys.readouterr().err


def test_a_plain_file_is_wrapped_with_another_scale(
    run: Path, photos: list[Path], tmp_path: Path
) -> None:
    plain, new = tmp_path / "plain.onnx", tmp_path / "new.onnx"
    compress(["export", str(run), "--out", str(plain)])
    compress(["export", str(plain), "--self-contained", "--out", str(new), "--scale", "0", "100"])
    found = [row["score"] for _, row in cliqa.load(new).predict(photos).iterrows()]
    wanted = [100 * min(max(score, 0), 1) for score in scores_of(plain, photos)]
    assert found == pytest.approx(wanted, abs=0.05)


def test_classes_have_probabilities(
    clear_config: dict[str, Any], run_config: Callable[..., Path], photos: list[Path]
) -> None:
    clear_config["scenario"]["eval_transform"] = STEPS
    clear_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(clear_config)
    file = export_self_contained(folder).path
    wanted, found = (cliqa.load(source).predict(photos) for source in (folder, file))
    assert list(found["class"]) == list(wanted["class"])
    assert list(found["probability"]) == pytest.approx(list(wanted["probability"]), abs=1e-3)
    with pytest.raises(ConfigError, match=r"--scale, --dataset: this model gives classes"):
        export_self_contained(folder, scale=(1, 5))


def test_what_does_not_fit_is_refused(
    exported: SelfContained, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=r"the file is self-contained already"):
        export_self_contained(exported.path, tmp_path / "x.onnx")
    with pytest.raises(ConfigError, match=r"x\.xml: the name of an ONNX file must end in \.onnx"):
        export_self_contained(exported.path, tmp_path / "x.xml")
    with pytest.raises(ConfigError, match=r"self-contained\. Quantize the run or its plain export"):
        quantize_model(exported.path, tmp_path / "q.onnx")
    for options, message in (
        (["--scale", "1", "5"], "--scale and --dataset are of a file that is exported --self"),
        (["--self-contained", "--scale", "5", "1"], "--scale 5 1: LOW must be below HIGH"),
        (["--self-contained", "--scale", "1", "5", "--dataset", "a"], "both give the scale"),
        (["--self-contained", "--dataset", "x"], "--dataset x: the model's config has a, b, c"),
    ):
        given = ["export", str(exported.path.parent), "--out", str(tmp_path / "n.onnx"), *options]
        assert run_entry_point(partial(compress, given)) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "n.onnx").exists()
