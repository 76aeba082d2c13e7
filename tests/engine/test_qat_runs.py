"""Runs with rounding, from config to results, predictions and a file in eight bits."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.datasets.image_listing import find_images
from cliqa.deploy.fidelity import compare_models
from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.integers.quantization import quantize_int8
from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.inference.evaluate import evaluate
from cliqa.inference.predict import Predictor
from cliqa.models.fake_quantization import is_rounded, remove_rounding, rounding_layers

Config = dict[str, Any]
Run = Callable[..., Path]


@pytest.fixture
def qat_run(tiny_config: Config, run_config: Run) -> tuple[Config, Path]:
    """Return a config of replay with rounding, and its run."""
    config = copy.deepcopy(tiny_config)
    config["cl_strategy"] |= {"plugins": [{"type": "QAT"}], "train_epochs": 1}
    return config, run_config(config)


def test_a_run_is_evaluated_and_predicts_as_it_was_measured(
    qat_run: tuple[Config, Path], tiny_data: Path
) -> None:
    config, folder = qat_run
    results = json.loads((folder / "results.json").read_text())
    again = evaluate(config, config_file="config/x.py", checkpoint=folder, device="cpu")
    for k, name in enumerate(results["datasets"]):
        assert again["datasets"][name]["metrics"]["srcc"] == results["matrix"]["srcc"][-1][k]
    predictor = Predictor(folder, torch.device("cpu"))
    layers = rounding_layers(predictor.model)
    assert layers
    assert not any(name.startswith("head") for name in layers)
    assert all(is_rounded(layer) for layer in layers.values())
    stored = load_predictions(folder, 2, "c")
    said = {s.image.name: s.score for s in predictor.predict(find_images([tiny_data / "c"]))}
    found = [said[Path(image).name] for image in stored.image]
    assert found == pytest.approx(stored.prediction.tolist(), abs=1e-6)


def test_its_file_in_eight_bits_says_what_was_measured(
    qat_run: tuple[Config, Path], tmp_path: Path, tiny_stream: Any
) -> None:
    pytest.importorskip("onnxruntime")
    model = model_of(load_run(qat_run[1] / "checkpoints" / "last.pth"))
    data = tiny_stream.test_stream[0].dataset
    batches = list(torch.stack([data[k][0] for k in range(len(data))]).split(4))
    plain = copy.deepcopy(model)
    assert remove_rounding(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            plain,
            (batches[0],),
            str(tmp_path / "model.onnx"),
            dynamo=False,
            input_names=["images"],
            output_names=["output"],
            dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        )
    quantize_int8(tmp_path / "model.onnx", tmp_path / "small.onnx", batches)
    found = compare_models(model, onnx_forward(tmp_path / "small.onnx", 1), batches)
    assert found.plcc is not None
    assert found.plcc > 0.95
