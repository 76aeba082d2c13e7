"""What ``tools/compress.py`` makes of runs whose methods and models are put together."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.commands.models.compress import main
from cliqa.deploy.onnx.file import load_proto, read_metadata
from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.evaluation.functional import srcc
from cliqa.inference.evaluate import evaluate_checkpoints
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.models.fake_quantization import rounding_layers
from cliqa.models.lora.adapters import lora_layers

pytestmark = [pytest.mark.integration, pytest.mark.slow]
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

Config = dict[str, Any]
Run = Callable[..., Path]
CPU = torch.device("cpu")

GATE: Config = {"inference": "gate", "centroids": 3, "temperature": 4.0}
REPLAY: Config = {"type": "Replay", "mem_size": 10}
PRUNING: Config = {"type": "ChannelPruning", "ratio": 0.3, "round_to": 2, "recover_epochs": 1}

STRATEGIES: dict[str, Config] = {
    "lora of each": {"type": "LoRA", "rank": 2, "mode": "per_task", "first": "full", **GATE},
    "norms and heads": {"type": "TaskSpecificParts", **GATE},
    "rounding, packnet": {
        "type": "PackNet",
        "norm": "per_task",
        **GATE,
        "plugins": [{"type": "QAT"}],
    },
    "rounding, replay, lora": {
        **REPLAY,
        "plugins": [{"type": "LoRA", "rank": 2}, {"type": "QAT", "start_experience": 1}],
    },
    "pruning, rounding, replay": {
        **REPLAY,
        "plugins": [PRUNING, {"type": "QAT", "start_experience": 1}],
    },
}

TEXTS: Config = {
    "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8]},
    "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
    "texts": "quality_levels",
    "in_channels": 8,
    "width": 16,
}
MODELS: dict[str, Config] = {
    "images and texts": {"type": "ImageTextModel", **TEXTS},
    "fusion, frozen prompts": {"type": "FusionModel", **TEXTS, "freeze": ["text_encoder"]},
}


@pytest.fixture
def small_config(tiny_config: Config) -> Config:
    """Return a config over three convolutions that learns fast."""
    tiny_config["model"] |= {
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 16, 16]},
        "head": {"type": "LinearScoreHead", "in_channels": 16},
    }
    tiny_config["model"]["backbone"]["norm"] = "BN"
    tiny_config["cl_strategy"]["optimizer"]["lr"] = 1e-2
    tiny_config["evaluation"] = {"bootstrap": 0}
    resize = {"type": "Resize", "size": (16, 16)}  # files of one size are made faster
    tiny_config["scenario"]["eval_transform"].insert(0, resize)
    return tiny_config


def with_strategy(config: Config, section: Config) -> Config:
    """Return a config with another strategy."""
    config = copy.deepcopy(config)
    config["cl_strategy"].pop("mem_size")
    config["cl_strategy"] |= copy.deepcopy(section)
    return config


def with_texts(config: Config, model: Config) -> Config:
    """Return a config of a model of images and texts."""
    config = {**copy.deepcopy(config), "model": copy.deepcopy(model)}
    config["cl_strategy"]["train_epochs"] = 20  # till its scores differ
    return config


def check_files(folder: Path, out: Path, exact: bool = True) -> None:
    """Export and quantize as a user does, and compare the files with the run.

    Args:
        folder: The run.
        out: Where the results go.
        exact: Whether the run's model does not round by itself.
    """
    whole, small = folder / "m.onnx", folder / "m_int8.onnx"  # beside the run: its data are known
    main(["export", str(folder), "--out", str(whole), "--tolerance", "1e-5"])
    main(["quantize", str(whole), "--out", str(small), "--count", "36"])
    assert read_metadata(small)["precision"] in ("int8", "a16w8")
    results, _ = evaluate_checkpoints([folder, whole, small], EvalRequest(), CPU, out / "e")
    rows = [
        {
            name: np.array([row["prediction"] for row in data["predictions"]])
            for name, data in found["datasets"].items()
        }
        for found in results.values()
    ]
    for name, wanted in rows[0].items():
        assert wanted.std() > 1e-3
        if exact:
            np.testing.assert_allclose(rows[1][name], wanted, rtol=0, atol=1e-5)
        ranks = srcc(rows[2][name], rows[1][name])
        assert ranks is not None
        assert ranks > 0.9


def search(folder: Path, out: Path) -> dict[str, Any]:
    """Search for a deployment as a user does; return the table's rows by recipe."""
    given = ["--backends", "onnxruntime", "--count", "36", "--rounds", "1", "--prune", "0.3"]
    main(["auto", str(folder), "--out", str(out), *given, "--epochs", "1"])
    content = json.loads((out / "deployments.json").read_text())
    assert content["best"] is not None
    return {row["key"]: row for row in content["rows"]}


@pytest.mark.parametrize(
    "name",
    [
        "rounding, packnet",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("lora of each", "norms and heads", "pruning, rounding, replay")
        ),
    ],
)
def test_methods_compose(name: str, small_config: Config, run_config: Run, tmp_path: Path) -> None:
    folder = run_config(with_strategy(small_config, STRATEGIES[name]))
    check_files(folder, tmp_path, exact="rounding" not in name)


@pytest.mark.parametrize(
    "name",
    ["images and texts", pytest.param("fusion, frozen prompts", marks=pytest.mark.exhaustive)],
)
def test_models_of_texts_compose(
    name: str, small_config: Config, run_config: Run, tmp_path: Path
) -> None:
    folder = run_config(with_texts(small_config, MODELS[name]))
    check_files(folder, tmp_path)
    held = [row.name for row in load_proto(folder / "m.onnx").graph.initializer]
    assert any("backbone" in part for part in held)
    assert not any("text_encoder" in part for part in held)  # its features are constants


UNPRUNED = ("torch-fp32", "onnxruntime-fp32", "onnxruntime-fp16", "onnxruntime-int8")


@pytest.mark.exhaustive
def test_a_run_with_rounding_and_adapters_is_pruned_as_well(
    small_config: Config, run_config: Run, tmp_path: Path
) -> None:
    small_config["model"]["backbone"]["channels"] = [8, 32, 16]
    folder = run_config(with_strategy(small_config, STRATEGIES["rounding, replay, lora"]))
    assert rounding_layers(model_of(load_run(folder / "checkpoints" / "last.pth")))
    table = search(folder, tmp_path)
    assert len(table) == len(UNPRUNED) + 2
    assert all(row["quality"] is not None for row in table.values()), table
    pruned = model_of(load_run(next(tmp_path.glob("pruned-30/checkpoints/last.pth"))))
    assert not rounding_layers(pruned)


@pytest.mark.exhaustive
def test_the_full_stack_ends_in_one_small_file(
    small_config: Config, run_config: Run, tmp_path: Path
) -> None:
    config = with_texts(small_config, MODELS["fusion, frozen prompts"])
    config["model"] |= {"backbone": {**TEXTS["backbone"], "channels": [8, 64]}, "in_channels": 64}
    config["cl_strategy"].pop("mem_size")
    adapters = {"type": "LoRA", "rank": 2, "first": "full"}
    rounding = {"type": "QAT", "start_experience": 1, "exclude": ["head", "text_encoder"]}
    pruning = {**PRUNING, "after": [0], "ratio": 0.5}
    config["cl_strategy"] |= {"type": "TextReplay", "mem_size": 10}
    config["cl_strategy"]["plugins"] = [adapters, pruning, rounding]
    folder = run_config(config)
    check_files(folder, tmp_path, exact=False)
    model = model_of(load_run(folder / "checkpoints" / "last.pth"))
    layers = lora_layers(model)
    assert layers["backbone.blocks.1.0"].base_weight.shape[:2] == (32, 4)
    assert layers["backbone.blocks.1.0"].is_trained
    table = search(folder, tmp_path)  # which merges the adapters, and prunes once more
    assert all(table[key]["quality"] is not None for key in (*UNPRUNED, "onnxruntime-fp32-p30"))
