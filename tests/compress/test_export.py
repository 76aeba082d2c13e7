"""A checkpoint's model as a file that predicts and evaluates like it."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.compress.export import default_tolerance, export_checkpoint, report_lines
from cliqa.config.load import load_config
from cliqa.deploy.onnx.export import ExportReport
from cliqa.deploy.onnx.file import read_metadata
from cliqa.inference.evaluate import evaluate
from cliqa.inference.image_model import open_model
from cliqa.models.heads.hyper import HyperHead
from cliqa.utils.errors import ArtifactError, CheckpointError, ModelError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

Config = dict[str, Any]
Run = Callable[..., Path]
CPU = torch.device("cpu")

GATED: dict[str, Config] = {
    "packnet": {"type": "PackNet", "norm": "per_task"},
    "norms and heads": {"type": "TaskSpecificParts"},
    "heads": {"type": "MultiHead", "strength": 0.1},
    "lora": {"type": "LoRA", "rank": 2, "mode": "per_task", "norm": "train", "first": "full"},
}


@pytest.fixture
def small_config(tiny_config: Config) -> Config:
    """Return a config over two convolutions, without replay, that learns fast."""
    tiny_config["model"] |= {
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8], "norm": "BN"},
        "head": {"type": "LinearScoreHead", "in_channels": 8},
    }
    tiny_config["cl_strategy"].pop("mem_size")
    tiny_config["cl_strategy"]["optimizer"]["lr"] = 3e-2  # views that differ
    tiny_config["cl_strategy"] |= {"type": "Naive", "train_epochs": 2}
    return tiny_config


def predictions(config: Config, out: Path, **options: Any) -> dict[str, np.ndarray]:
    """Return what an evaluation predicts, by data set."""
    found = evaluate(config, config_file="config/x.py", device="cpu", out=out, **options)
    return {
        name: np.array([row["prediction"] for row in data["predictions"]])
        for name, data in found["datasets"].items()
    }


@pytest.mark.parametrize(
    "method",
    [
        *("packnet", "lora"),
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("norms and heads", "heads")
        ),
    ],
)
def test_a_gate_is_in_the_file(
    method: str, small_config: Config, run_config: Run, tmp_path: Path
) -> None:
    config = copy.deepcopy(small_config)
    gate: Config = {"centroids": 3, "temperature": 4.0}
    if method == "heads":  # it takes no argument of earlier versions
        gate = {}
    config["cl_strategy"] |= {**GATED[method], "inference": "gate", **gate}
    folder = run_config(config)
    report = export_checkpoint(folder, size=(16, 16))
    assert report.path == folder / "model.onnx"
    wanted = predictions(config, tmp_path / "a.json", checkpoint=folder)
    found = predictions(config, tmp_path / "b.json", exported=report.path)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5)
    images = torch.rand(5, 3, 16, 16)
    exported, trained = (open_model(path, CPU) for path in (report.path, folder))
    torch.testing.assert_close(exported(images), trained(images), rtol=0, atol=1e-5)
    newest: Any = trained
    assert (newest.module(images) - trained(images)).abs().max() > 1e-2  # the gate matters


def test_a_layer_that_takes_one_size(split_config: Config, run_config: Run) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    split_config["model"] |= {"neck": None}
    split_config["model"]["backbone"] |= {"flatten": True}
    split_config["model"]["head"] |= {"in_channels": 8 * 49}
    folder = run_config(split_config)
    report = export_checkpoint(folder)
    assert report.size == (28, 28)
    assert "one size alone" in report.note
    images = torch.rand(3, 1, 28, 28)
    exported, trained = (open_model(path, CPU) for path in (report.path, folder))
    assert exported.classes == trained.classes
    torch.testing.assert_close(exported(images), trained(images), rtol=0, atol=1e-5)
    with pytest.raises(ModelError, match=r"batch 1 of 64 x 64 pixels .*Choose another size"):
        export_checkpoint(folder, size=(64, 64))


def test_gates_weigh_crops_by_themselves_and_say_so(
    small_config: Config, run_config: Run, caplog: pytest.LogCaptureFixture
) -> None:
    crops = {"type": "GridCrop", "size": 12, "rows": 2, "columns": 2}
    small_config["scenario"]["eval_transform"].append(crops)
    small_config["cl_strategy"] |= {"type": "TaskSpecificParts", "inference": "gate"}
    folder = run_config(small_config)
    assert export_checkpoint(folder).size == (12, 12)
    assert "images are shown in 4 crops, and the exported gate weighs each by itself" in caplog.text


@pytest.mark.usefixtures("quick_exports")
def test_the_file_says_where_it_is_from(tiny_run: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "exp_0.pth"
    checkpoint.parent.mkdir(parents=True)
    shutil.copy(tiny_run / "checkpoints" / "exp_0.pth", checkpoint)
    report = export_checkpoint(checkpoint)
    assert report.path == tmp_path / "run" / "model_exp_0.onnx"
    assert report.size is None  # ToTensor alone leaves images their size
    about = read_metadata(report.path)
    assert (about["names"], about["experiences_learnt"], about["size"]) == (
        ["a", "b", "c"],
        1,
        None,
    )
    config = load_config(tiny_run / "config.py")
    assert about["eval_transform"] == config["scenario"]["eval_transform"]
    assert about["model"]["head"] == config["model"]["head"]


@pytest.mark.usefixtures("quick_exports")
def test_a_transformer_is_exported_at_the_size_of_the_run_s_images(
    split_config: Config, run_config: Run
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 8}
    vit = {"type": "VisionTransformer", "arch": arch, "img_size": 28, "patch_size": 7}
    split_config["model"] |= {"neck": None, "backbone": {**vit, "in_channels": 1}}
    split_config["model"]["head"] |= {"in_channels": 8}
    folder = run_config(split_config)
    assert export_checkpoint(folder).size == (28, 28)  # it would take 224 x 224 too


@pytest.mark.usefixtures("quick_exports")
def test_the_preprocessing_fixes_the_size(
    small_config: Config, run_config: Run, caplog: pytest.LogCaptureFixture
) -> None:
    resize = {"type": "Resize", "size": (20, 24)}
    small_config["scenario"]["eval_transform"].insert(0, resize)
    folder = run_config(small_config)
    assert export_checkpoint(folder).size == (20, 24)
    assert export_checkpoint(folder, size=(16, 16)).size == (16, 16)
    assert export_checkpoint(folder, dynamic_size=True).size is None
    assert caplog.text.count("crops") == 0


def test_what_cannot_be_exported(features_config: Config, run_config: Run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        export_checkpoint(tmp_path / "gone")
    with pytest.raises(ArtifactError, match=r"m\.onnx: exported already\. Give a checkpoint"):
        export_checkpoint(tmp_path / "m.onnx")
    with pytest.raises(CheckpointError, match="takes no images"):
        export_checkpoint(run_config(features_config))


def test_generated_weights_may_be_a_little_further_off() -> None:
    assert default_tolerance(nn.Sequential(nn.Conv2d(3, 4, 1))) == 1e-5
    head = HyperHead(in_channels=14, sizes=(28, 14, 7), grid=7)
    assert default_tolerance(nn.Sequential(head)) == 1e-4


def test_a_report_tells_what_was_written() -> None:
    parity = {"batch 1 of 8 x 9 pixels": 1.25e-7}
    report = ExportReport(Path("m.onnx"), 12345, 678, (8, 9), parity, "no.", 1.25)
    assert report_lines(report) == [
        "written: m.onnx (12,345 bytes, 678 parameters, 1.2 s)",
        "images: 8 x 9 (height x width); free axes: batch",
        "parity, batch 1 of 8 x 9 pixels: 1.2e-07",
        "one size only: no.",
        "predict with: cliqa predict m.onnx IMAGES",
    ]
    free = report_lines(ExportReport(Path("m.onnx"), 1, 1, None, parity, "", 1.0))
    assert free[1] == "images: any; free axes: batch, height, width"
    assert len(free) == 4
