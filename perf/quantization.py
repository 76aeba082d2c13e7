"""What eight bits bring on this processor: ``python perf/quantization.py``.

Quality models of torchvision's backbones with a cosine head, briefly fitted to the severity of blur
and noise on painted images (there is no download), are written in several precisions. The table
says how large the files are, how much of the processor's time a pass takes against PyTorch and
onnxruntime in float32, and how true scores of new images are. The arms take turns; what is compared
is the process's CPU time, in medians. Fidelity of real weights can be better or worse: a model that
has hardly learnt anything loses more by rounding than one with clear scores.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.deploy.fidelity import compare_outputs, outputs_of
from cliqa.deploy.onnx.export import export_onnx
from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.half import autocast_forward, to_float16
from cliqa.deploy.onnx.mixed_precision import quantize_mixed_precision
from cliqa.deploy.onnx.quantization import quantize_int8
from cliqa.deploy.openvino.backend import OpenVinoModel, to_openvino
from cliqa.deploy.openvino.quantization import quantize_openvino
from cliqa.models.build import build_model
from cliqa.utils.cli import run_entry_point

MODELS = {
    "resnet18": ("layer4", 512),
    "mobilenet_v3_small": ("features.12", 576),
    "efficientnet_b0": ("features.8", 1280),
}
"""The last maps of a backbone, and their channels."""

Forward = Callable[[Tensor], Any]
Arms = dict[str, tuple[Forward, int]]


def paint(count: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return images (count, 3, size, size), normalised, and their scores, 1 for a clean one.

    Clouds with grain of every size, then blur and noise of a random severity.
    """
    random = torch.Generator().manual_seed(seed)
    severity = torch.rand(count, generator=random)
    images = torch.zeros(count, 3, size, size)
    for cells in (3, 8, 24, size // 2):
        coarse = torch.randn(count, 3, cells, cells, generator=random)
        weight = torch.rand(count, 1, 1, 1, generator=random)
        images += weight * F.interpolate(coarse, size, mode="bilinear")
    strength = severity.view(-1, 1, 1, 1)
    blurred = F.avg_pool2d(images, 5, 1, 2, count_include_pad=False)
    noise = torch.randn(images.shape, generator=random)
    return (images + strength * (blurred - images) + strength * noise).clamp(
        -2.5, 2.5
    ), 1 - severity


def fit(arch: str, steps: int, size: int) -> nn.Module:
    """Return a model that has seen a few hundred batches of small painted images."""
    torch.manual_seed(0)
    node, channels = MODELS[arch]
    backbone = {"type": "TorchvisionBackbone", "arch": arch, "nodes": [node]}
    head = {"type": "CosineScoreHead", "in_channels": channels}
    model = build_model({"type": "QualityModel", "backbone": backbone, "head": head}).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        images, scores = paint(16, 64, seed=1000 + step)
        loss = (model(images) - scores).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:  # statistics of the size that is measured, as a plain mean
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for batch in range(4):
            model(paint(16, size, seed=500 + batch)[0])
    return model.eval()


def make_arms(model: nn.Module, folder: Path, calibration: list[Tensor], size: int) -> Arms:
    """Return functions and the bytes of their files, by name; print what was tried."""
    source = folder / "model.onnx"
    export_onnx(model, source, channels=3, size=(size, size), metadata={}, tolerance=1e-4)
    before = source.stat().st_size
    arms: Arms = {
        "PyTorch, float32": (model, before),
        "PyTorch, bfloat16": (autocast_forward(model), before),
        "onnxruntime, float32": (onnx_forward(source, 1), before),
    }
    half = to_float16(source, folder / "half.onnx", calibration[:1])
    arms["onnxruntime, float16"] = onnx_forward(folder / "half.onnx", 1), half.bytes_after
    small = quantize_int8(source, folder / "int8.onnx", calibration)
    print("\n".join(small.lines()))
    arms["onnxruntime, int8"] = onnx_forward(folder / "int8.onnx", 1), small.bytes_after
    care = quantize_mixed_precision(source, folder / "care.onnx", calibration)
    print("\n".join(care.lines()))
    if len(care.attempts) > 1:
        arms["onnxruntime, int8 with care"] = (
            onnx_forward(folder / "care.onnx", 1),
            care.bytes_after,
        )
    for precision in ("fp32", "bf16"):
        plain = to_openvino(source, folder / f"{precision}.xml", precision)
        forward = OpenVinoModel(plain.target, threads=1)
        arms[f"OpenVINO, {precision}"] = forward, plain.bytes_after
    tiny = quantize_openvino(source, folder / "int8.xml", calibration)
    arms["OpenVINO, int8"] = OpenVinoModel(tiny.target, threads=1), tiny.bytes_after
    return arms


def measure(arms: Arms, batch: Tensor, rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of a pass by arm; a first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    with torch.no_grad():
        for turn in range(rounds + 1):
            for name, (forward, _) in arms.items():
                started = time.process_time()
                forward(batch)
                if turn:
                    seconds[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


def report(arms: Arms, times: dict[int, dict[str, float]], images: list[Tensor]) -> Iterator[str]:
    """Yield the lines of the table."""
    reference, before = arms["PyTorch, float32"]
    expected = outputs_of(reference, images)
    columns = "".join(f" | b{size}: ms, x PyTorch, x onnxruntime" for size in times)
    yield f"{'':28} | MB, x smaller{columns} | SRCC, PLCC, RMSE / std, distinct"
    for name, (forward, size) in arms.items():
        speeds = ""
        for found in times.values():
            ratios = (
                found[f"{other}, float32"] / found[name] for other in ("PyTorch", "onnxruntime")
            )
            speeds += f" | {1e3 * found[name]:8.1f} {next(ratios):6.2f} {next(ratios):6.2f}"
        true = compare_outputs(expected, outputs_of(forward, images))
        srcc, plcc = (value or 0 for value in (true.srcc, true.plcc))
        yield (
            f"{name:28} | {size / 1e6:6.2f} {before / size:5.2f}{speeds} | {srcc:.5f} {plcc:.5f} "
            f"{100 * (true.error or 0):5.1f} % {true.distinct:4} of {true.reference_distinct}"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=300, help="of the fit")
    parser.add_argument("--calibration", type=int, default=96, help="images")
    parser.add_argument("--images", type=int, default=128, help="to compare on")
    parser.add_argument("--rounds", type=int, default=15, help="passes of each arm at batch 1")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    calibration = list(paint(args.calibration, args.size, seed=1)[0].split(8))
    images, scores = paint(args.images, args.size, seed=2)
    for arch in args.models:
        model = fit(arch, args.steps, args.size)
        with torch.no_grad():
            said = torch.cat([model(batch) for batch in images.split(16)])
        correlation = float(torch.corrcoef(torch.stack([said, scores]))[0, 1])
        print(f"\n{arch}, {args.size} px, one thread; PLCC to the severity {correlation:.3f}")
        with tempfile.TemporaryDirectory() as folder:
            arms = make_arms(model, Path(folder), calibration, args.size)
            times = {
                1: measure(arms, images[:1], args.rounds),
                16: measure(arms, images[:16], max(args.rounds // 3, 1)),
            }
            for line in report(arms, times, list(images.split(16))):
                print(line)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
