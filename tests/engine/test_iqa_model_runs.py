"""DB-CNN, TOPIQ, ARNIQA, CLIP-IQA+ and LIQE in streams, by single samples, and as ONNX files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.deploy.onnx.export import export_onnx
from cliqa.inference.evaluate import evaluate
from cliqa.models.build import build_model
from cliqa.training.importance.per_sample import PerSampleGradients

Config = dict[str, Any]

RESNET: Config = {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4}
CLIP: Config = {
    **{"embed_dim": 16, "image_resolution": 32, "context_length": 77, "vocab_size": 49408},
    **{"transformer_width": 64, "transformer_heads": 1, "transformer_layers": 1},
    **{"vision_layers": (1, 1, 1, 1), "vision_width": 16, "vision_patch_size": None},
}
VIT: Config = {**CLIP, "vision_layers": 1, "vision_width": 64, "vision_patch_size": 16}

MODELS: dict[str, Config] = {
    "dbcnn": {
        "type": "QualityModel",
        "backbone": {
            "type": "ParallelBackbones",
            "branches": [{**RESNET, "out_indices": (3,)}, {"type": "SCNN"}],
        },
        "neck": {"type": "BilinearPooling"},
        "head": {"type": "LinearScoreHead", "in_channels": 32 * 128},
    },
    "topiq": {
        "type": "QualityModel",
        "backbone": {**RESNET, "out_indices": (0, 1, 2, 3)},
        "neck": {
            **{"type": "CrossScaleAttention", "in_channels": (4, 8, 16, 32)},
            **{"dim": 8, "heads": 2, "dropout": 0.0},
        },
        "head": {"type": "MLPScoreHead", "in_channels": 8},
    },
    "arniqa": {
        "type": "QualityModel",
        "backbone": {"type": "ImageScales", "backbone": {**RESNET, "out_indices": (3,)}},
        "neck": {"type": "UnitVectors"},
        "head": {"type": "RidgeHead", "in_channels": 64, "random_features": 0},
    },
    "clip_iqa_plus": {
        "type": "ImageTextModel",
        "backbone": {"type": "CLIPVision", "arch": CLIP, "positions": False},
        "text_encoder": {"type": "CLIPContextText", "arch": CLIP, "length": 4},
        "texts": "clip_iqa",
        **{"in_channels": 16, "width": None, "freeze": ["backbone", "head"]},
    },
    "liqe": {
        "type": "LIQE",
        "backbone": {"type": "CLIPVision", "arch": VIT},
        "text_encoder": {"type": "CLIPText", "arch": VIT, "freeze": False},
        **{"in_channels": 16, "size": 32, "scenes": ["human"], "distortions": ["blur", "other"]},
        "freeze": ["head"],
    },
}
OF_CLIP = ("clip_iqa_plus", "liqe")


def needs_clip(name: str) -> None:
    """Skip a model of CLIP where the package is missing."""
    if name in OF_CLIP:
        pytest.importorskip("clip")


@pytest.mark.parametrize(
    ("model", "strategy"),
    [
        ("dbcnn", {"type": "EWC", "strength": 10.0}),
        ("topiq", {"type": "PackNet", "inference": "gate", "train_epochs": 2}),
        ("arniqa", {"type": "StreamingRidge"}),
        ("clip_iqa_plus", {"type": "EWC", "strength": 10.0}),
        ("liqe", {"type": "Replay", "mem_size": 8}),
    ],
    ids=lambda value: value if isinstance(value, str) else value["type"],
)
def test_a_run_goes_through_and_its_checkpoint_says_the_same_again(
    model: str, strategy: Config, tiny_config: Config, run_config: Callable[..., Path]
) -> None:
    needs_clip(model)
    config = tiny_config
    config["model"] = MODELS[model]
    config["scenario"]["datasets"] = config["scenario"]["datasets"][:2]
    steps = [{"type": "Resize", "size": (32, 32)}, {"type": "ToTensor"}]
    config["scenario"] |= {"train_transform": steps, "eval_transform": steps}
    config["cl_strategy"].pop("mem_size")
    config["cl_strategy"] |= {"train_epochs": 1, **strategy}
    folder = run_config(config)
    results = json.loads((folder / "results.json").read_text())
    matrix = np.array(results["matrix"]["srcc"], dtype=float)
    assert matrix.shape == (2, 2)
    assert np.isfinite(matrix).all()
    again = evaluate(config, config_file="config/x.py", checkpoint=folder, device="cpu")
    for k, name in enumerate(results["datasets"]):
        assert again["datasets"][name]["metrics"]["srcc"] == matrix[-1, k]


@pytest.mark.parametrize("name", ["dbcnn", "topiq"])
def test_gradients_of_single_samples_come_from_one_pass(name: str) -> None:
    torch.manual_seed(0)
    own = build_model(MODELS[name]).eval()
    images, targets = torch.rand(3, 3, 32, 32), torch.rand(3)
    ways = {method: PerSampleGradients(own, method=method) for method in ("vmap", "loop")}
    for gradients in ways.values():
        gradients.add(lambda output, target: (output - target).square(), images, targets)
    for part, expected in ways["loop"].sums.items():
        found = ways["vmap"].sums[part]
        most = float(expected.max())
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * most, msg=part)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",  # without ARNIQA's, which is not solved yet
    [
        "topiq",
        *(
            pytest.param(n, marks=pytest.mark.exhaustive)
            for n in ("dbcnn", "clip_iqa_plus", "liqe")
        ),
    ],
)
def test_a_file_of_onnx_gives_the_same_scores(name: str, tmp_path: Path) -> None:
    needs_clip(name)
    torch.manual_seed(0)
    config = copy.deepcopy(MODELS[name])
    if name == "topiq":  # two levels are as good as four, and exported in half of the time
        stages = {"num_stages": 2, "strides": (1, 2), "dilations": (1, 1), "out_indices": (0, 1)}
        config["backbone"] |= stages
        config["neck"]["in_channels"] = (4, 8)
    model = build_model(config).eval()
    images = torch.randn(4, 3, 32, 48)
    assert model(images).std() > 1e-5
    report = export_onnx(model, tmp_path / "m.onnx", channels=3, size=(32, 48), metadata={})
    assert max(report.parity.values()) <= 1e-5
