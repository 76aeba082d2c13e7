"""What pruning brings on this processor: ``python perf/pruning.py``.

A ResNet-18 at several shares of its channels, as ONNX files that onnxruntime runs in float32 on one
thread. The arms take turns; what is compared is the median of the process's CPU time. The accuracy
is not: a pruned network has to be trained again (`cliqa.compress.prune`).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import numpy as np
import onnxruntime
import torch
from torch import nn

from cliqa.deploy.pruning.prune import prune_channels
from cliqa.models.build import build_model
from cliqa.models.complexity import count_macs
from cliqa.utils.cli import run_entry_point

Arm = tuple[str, int, int, int, Callable[[], object]]
"""Name, parameters, MACs, bytes, and what is timed."""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="resnet18", help="a network of torchvision")
    parser.add_argument("--node", default="layer4", help="its last layer")
    parser.add_argument("--channels", type=int, default=512, help="channels of that layer")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.3, 0.5, 0.7])
    parser.add_argument("--round-to", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        arms = [arm("whole", network(args), args.size, Path(folder))]
        for ratio in args.ratios:
            for unit in args.round_to:
                model = network(args)
                example = torch.rand(1, 3, args.size, args.size)
                prune_channels(model, example, ratio=ratio, round_to=unit)
                name = f"{ratio:.0%} of the channels, multiples of {unit}"
                arms.append(arm(name, model, args.size, Path(folder)))
        report(arms, measure(arms, args.rounds))


def network(args: argparse.Namespace) -> nn.Module:
    """Return the network with random weights, always the same ones."""
    torch.manual_seed(0)
    backbone = {"type": "TorchvisionBackbone", "arch": args.arch, "nodes": [args.node]}
    head = {"type": "LinearScoreHead", "in_channels": args.channels}
    return build_model({"type": "QualityModel", "backbone": backbone, "head": head}).eval()


def arm(name: str, model: nn.Module, size: int, folder: Path) -> Arm:
    """Return a network as a file that onnxruntime has read."""
    images = torch.rand(1, 3, size, size)
    path = folder / f"{len(list(folder.iterdir()))}.onnx"
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (images,), path, dynamo=True, external_data=False, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: images.numpy()}
    with torch.no_grad():
        drift = np.abs(session.run(None, feed)[0] - model(images).numpy()).max()
    if drift > 1e-4:
        raise SystemExit(f"{name}: the exported network is off by {drift:.1e}")
    parameters = sum(p.numel() for p in model.parameters())
    macs, size_ = count_macs(model, images), path.stat().st_size
    return name, parameters, macs, size_, lambda: session.run(None, feed)


def measure(arms: Sequence[Arm], rounds: int) -> list[list[float]]:
    """Return the CPU seconds of every round of each arm; two rounds warm up."""
    seconds: list[list[float]] = [[] for _ in arms]
    for turn in range(rounds + 2):
        for found, (*_, work) in zip(seconds, arms, strict=True):
            started = time.process_time()
            work()
            if turn > 1:
                found.append(time.process_time() - started)
    return seconds


def report(arms: Sequence[Arm], seconds: Sequence[Sequence[float]]) -> None:
    """Print how many times smaller and faster every arm is than the first."""
    medians = [statistics.median(found) for found in seconds]
    _, parameters, macs, size, _ = arms[0]
    print(
        f"whole: {parameters:,} parameters, {macs / 1e9:.3f} GMACs, {size / 1e6:.1f} MB, "
        f"{1e3 * medians[0]:.1f} ms of CPU"
    )
    for (name, *own, _), median in zip(arms[1:], medians[1:], strict=True):
        shares = [whole / part for whole, part in zip((parameters, macs, size), own, strict=True)]
        print(
            f"{name}: {shares[0]:.2f} x fewer parameters, {shares[1]:.2f} x fewer MACs, a file "
            f"{shares[2]:.2f} x smaller, {medians[0] / median:.2f} x faster"
        )


if __name__ == "__main__":
    run_entry_point(main)
