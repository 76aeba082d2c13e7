from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import cliqa
from cliqa.api.deployment import batches_of
from cliqa.utils.errors import ConfigError

pytestmark = pytest.mark.usefixtures("quick_exports")

IMAGES = torch.rand(48, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a small classifier of images."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 4))


@pytest.mark.parametrize(("dtype", "factor"), [("float16", 1.7), ("int8", 2.0)])
def test_a_network_in_memory_becomes_a_smaller_file(
    network: nn.Module, dtype: str, factor: float, tmp_path: Path
) -> None:
    small = cliqa.quantize_model(network, dtype=dtype, images=IMAGES, out=tmp_path / "small.onnx")
    floats = sum(weight.numel() * 4 for weight in network.parameters())
    assert small.path.stat().st_size < floats / factor + 12_000  # the graph itself takes some
    with torch.no_grad():
        wanted = network(IMAGES[:5])
    spread = float(wanted.std())
    assert (small(IMAGES[:5]) - wanted).abs().max() < 0.2 * spread
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    assert "written" in small.report[-1]


@pytest.mark.slow
@pytest.mark.integration
def test_a_run_is_quantized_with_images_of_its_stream(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run_fp16.onnx"
    small = cliqa.quantize_model(tiny_run, dtype="fp16", out=out)
    assert small.path == out
    assert cliqa.load(out).names == cliqa.load(tiny_run, device="cpu").names


def test_the_best_recipe_of_a_network_is_chosen_by_measuring(
    network: nn.Module, tmp_path: Path
) -> None:
    with torch.no_grad():
        target = network(IMAGES).argmax(1)
    asked = []

    def evaluate(model: Any) -> float:
        outputs: Tensor = model(IMAGES)
        asked.append(model)
        return float((outputs.argmax(1) == target).float().mean())

    optimizer = cliqa.AutoOptimizer(target_metric="size", max_drop=0.2)
    optimizer.rounds = 2
    outcome = optimizer.optimize_model(network, IMAGES, evaluate, out=tmp_path / "found")
    keys = [row.recipe.key for row in outcome.rows]
    assert keys == ["torch-fp32", "onnxruntime-fp32", "onnxruntime-fp16", "onnxruntime-int8"]
    assert len(asked) == 4
    assert outcome.rows[0].quality == 1.0
    assert outcome.best is not None
    assert outcome.best.bytes == min(row.bytes for row in outcome.rows if row.bytes)
    assert Path(str(outcome.best.file)).is_file()
    assert "best in size within the budget" in outcome.verdict()


@pytest.mark.integration
def test_a_run_is_searched_as_by_the_tool(monkeypatch: pytest.MonkeyPatch, tiny_run: Path) -> None:
    calls = []
    monkeypatch.setattr("cliqa.api.deployment.search_deployments", lambda *a: calls.append(a))
    optimizer = cliqa.AutoOptimizer("latency", max_drop=None, max_ms=5.0, prunings=[0.3])
    optimizer.optimize_model(tiny_run, out="x")
    ((source, out, options),) = calls
    assert (source, out) == (tiny_run, "x")
    assert (options.target, options.budget) == ("latency", {"max_ms": 5.0})
    assert list(options.prunings) == [0.3]


def test_batches_of_a_loader() -> None:
    loader = [(IMAGES[:20], torch.zeros(20)), (IMAGES[20:40], torch.zeros(20)), IMAGES]
    assert [len(batch) for batch in batches_of(loader, 30)] == [20, 10]
    assert torch.equal(torch.cat(batches_of(loader, 30)), IMAGES[:30])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda n: cliqa.quantize_model(n, "int4", IMAGES),
            "dtype must be one of int8, int8-bf16, ",
        ),
        (lambda n: cliqa.quantize_model(n), r"Give images=..., a batch \(B, C, H, W\)"),
        (lambda n: cliqa.quantize_model("run", images=IMAGES), "from its stream: leave out"),
        (lambda n: cliqa.quantize_model(n, images=IMAGES[0]), r"batches \(B, C, H, W\), got"),
        (lambda n: cliqa.quantize_model(n, images=[]), "images: there are none"),
        (lambda n: cliqa.AutoOptimizer("speed"), "target must be 'size', 'latency' or 'quality'"),
        (lambda n: cliqa.AutoOptimizer().optimize_model(n), "Give images=.*evaluate=..., a"),
        (lambda n: cliqa.AutoOptimizer().optimize_model("run", IMAGES), "on its own stream"),
        (
            lambda n: cliqa.AutoOptimizer(prunings=[0.5]).optimize_model(n, IMAGES, lambda _: 0.0),
            "a pruned network must be fine-tuned",
        ),
    ],
)
def test_mistakes_are_told(network: nn.Module, call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(network)
