"""What few bits bring on this processor: ``python perf/quantization.py --photos PHOTOS``.

Quality networks (`perf/quality_networks.py`) are written in every form of this package, and as ONNX
Runtime's own quantizer writes them. The table says how much of the processor's time a pass takes
against ONNX Runtime and PyTorch in float32, at batch 1 and 16, in turns on one thread, and how much
SRCC to the severity of the degradation of new images is lost. A second table says where the time of
float32 and of int8 goes, by operator.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import numpy as np
import onnxruntime
import openvino
import torch
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from scipy import stats
from torch import Tensor, nn

from cliqa.deploy.backends import convert, open_exported
from cliqa.deploy.fidelity import compare_outputs, outputs_of
from cliqa.deploy.onnx.export import export_onnx
from cliqa.deploy.onnx.graph import load_graph, name_nodes, onnx_forward, onnx_head, save_graph
from cliqa.deploy.openvino.backend import read_openvino
from cliqa.deploy.operator_times import operator_times
from cliqa.deploy.search.recipes import parts_to_try
from cliqa.utils.cli import run_entry_point
from perf.quality_networks import STEPS, degraded, fit, network, pictures
from perf.rounds import Seconds, pairs, print_row, spread, take_turns

Forward = Callable[[Tensor], Any]
Arms = dict[str, tuple[Forward, int]]
"""By name, a function and the bytes of its files."""

EAGER, FLOAT32 = "PyTorch float32", "onnxruntime float32"

STOCK = {
    "onnxruntime int8, its own quantizer": (QuantFormat.QDQ, QuantType.QUInt8),
    "onnxruntime int8, its own, QOperator": (QuantFormat.QOperator, QuantType.QUInt8),
    "onnxruntime int8, its own, signed activations": (QuantFormat.QDQ, QuantType.QInt8),
}

OPENVINO = ("fp32", "bf16", "int8", "int8-bf16")


class _Reader:
    """Images for ONNX Runtime's own quantizer."""

    def __init__(self, name: str, batches: Sequence[Tensor]) -> None:
        self._left = iter([{name: batch.numpy()} for batch in batches])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return a batch, None after the last."""
        return next(self._left, None)


def stock(source: Path, target: Path, batches: Sequence[Tensor], how: tuple[Any, Any]) -> int:
    """Write a file as ONNX Runtime's own quantizer does, its head in float; return its bytes."""
    ready = target.with_suffix(".ready.onnx")
    quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
    graph = load_graph(ready)
    name_nodes(graph)
    save_graph(graph, ready)
    head = onnx_head(graph)
    with contextlib.redirect_stdout(io.StringIO()):
        quantize_static(
            str(ready),
            str(target),
            _Reader(graph.graph.input[0].name, batches),
            quant_format=how[0],
            per_channel=True,
            activation_type=how[1],
            weight_type=QuantType.QInt8,
            nodes_to_exclude=head,
        )
    return target.stat().st_size


def make_arms(
    model: nn.Module, folder: Path, images: list[Tensor], size: int, wanted: Sequence[str]
) -> Arms:
    """Return functions and the bytes of their files, by name; print what was tried."""

    def leaves_out(name: str) -> bool:
        return bool(wanted) and name not in wanted

    source = folder / "model.onnx"
    export_onnx(model, source, channels=3, size=(size, size), metadata={}, tolerance=1e-4)
    before = source.stat().st_size
    arms: Arms = {EAGER: (model, before), FLOAT32: (onnx_forward(source, 1), before)}
    for place, (name, how) in enumerate(STOCK.items()):
        if leaves_out(name):
            continue
        file = folder / f"stock{place}.onnx"
        written = stock(source, file, images, how)
        arms[name] = onnx_forward(file, 1), written
    own = {"onnxruntime int8": ()} | {
        f"onnxruntime int8, {part} in float": (part,) for part in parts_to_try(model)
    }
    for name, parts in own.items():
        if leaves_out(name):
            continue
        file = folder / f"{name.replace(' ', '_')}.onnx"
        report = convert(source, file, "onnxruntime", "int8", lambda: images, parts)
        print(f"{name}: {report.choice or report.fidelity}", flush=True)
        arms[name] = onnx_forward(file, 1), report.bytes_after
    for precision in OPENVINO:
        if leaves_out(f"OpenVINO {precision}"):
            continue
        file = folder / f"{precision}.xml"
        report = convert(source, file, "openvino", precision, lambda: images)
        arms[f"OpenVINO {precision}"] = open_exported(file, 1), report.bytes_after
    if (folder / "bf16.xml").is_file():
        arms["OpenVINO bf16, any batch"] = any_batch(folder / "bf16.xml"), arms["OpenVINO bf16"][1]
    return arms


def any_batch(file: Path) -> Forward:
    """Return an OpenVINO file in bfloat16 that is compiled once, for batches of any length."""
    options = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(read_openvino(file), "CPU", options)
    return lambda images: torch.from_numpy(compiled(images.numpy())[0].copy())


def measure(arms: Arms, batch: Tensor, rounds: int, repeats: int) -> Seconds:
    """Return the CPU seconds of each round of `repeats` passes, by arm."""

    def work(forward: Forward) -> Callable[[], object]:
        return lambda: [forward(batch) for _ in range(repeats)]

    with torch.no_grad():
        return take_turns({name: work(forward) for name, (forward, _) in arms.items()}, rounds)


def report(
    arms: Arms, times: dict[int, Seconds], images: list[Tensor], scores: Tensor
) -> Iterator[str]:
    """Yield the lines of the table."""
    expected = outputs_of(arms[FLOAT32][0], images)
    whole = float(stats.spearmanr(expected, scores).statistic)
    heads = "".join(f" batch {size}, x {FLOAT32} | x eager |" for size in times)
    yield f"| form | MB |{heads} SRCC | lost | SRCC to float32 | different scores |"
    yield "|---" * (6 + 2 * len(times)) + "|"
    for name, (forward, size) in arms.items():
        speeds = "".join(
            f" {spread(pairs(found, FLOAT32, name))} | "
            f"{statistics.median(pairs(found, EAGER, name)):.2f} |"
            for found in times.values()
        )
        outputs = outputs_of(forward, images)
        own = float(stats.spearmanr(outputs, scores).statistic)
        true = compare_outputs(expected, outputs)
        yield (
            f"| {name} | {size / 1e6:.2f} |{speeds} {own:.4f} | {whole - own:+.4f} | "
            f"{true.srcc or 0:.4f} | {true.distinct} of {true.reference_distinct} |"
        )


def operators(folder: Path, batch: Tensor) -> Iterator[str]:
    """Yield a table of the milliseconds of a pass by operator."""
    files = {"float32": "model.onnx", "int8, its own quantizer": "stock0.onnx"}
    files |= {"int8": "onnxruntime_int8.onnx"}
    stem = "onnxruntime_int8,_stem_in_float.onnx"
    files |= {"int8, stem in float": stem}
    files = {name: file for name, file in files.items() if (folder / file).is_file()}
    times = {name: operator_times(folder / file, batch) for name, file in files.items()}
    yield f"| batch {len(batch)}, ms | {' | '.join(times)} |"
    yield "|---" * (1 + len(times)) + "|"
    for kind in dict.fromkeys(kind for found in times.values() for kind in found):
        yield f"| {kind} | {' | '.join(f'{t.get(kind, 0):.2f}' for t in times.values())} |"
    yield f"| all | {' | '.join(f'{sum(t.values()):.2f}' for t in times.values())} |"


def row(arch: str, times: dict[int, Seconds]) -> None:
    """Print the row of the table of speeds."""
    shown = [
        f"batch {size}: "
        + ", ".join(f"{name} {spread(pairs(found, FLOAT32, name))}" for name in of)
        for size, found in times.items()
        for of in [[name for name in found if name.endswith(("int8", "bf16", "in float"))]]
    ]
    print_row(
        f"few bits, {arch}",
        "perf/quantization.py",
        f"times as fast as {FLOAT32} in CPU time, one thread; {'; '.join(shown)}",
    )


def fitted(arch: str, folder: Path | None, pool: list[Any], size: int) -> nn.Module:
    """Return a fitted network, from the folder where it lies there, else kept in it."""
    file = None if folder is None else folder / f"{arch}.pth"
    if file is not None and file.is_file():
        model = network(arch)
        model.load_state_dict(torch.load(file, weights_only=True))
        return model.eval()
    model = fit(arch, pool, STEPS[arch], size)
    if file is not None:
        torch.save(model.state_dict(), file)
    return model


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--photos", type=Path, help="a folder of .jpg (default: painted clouds)")
    parser.add_argument("--fitted", type=Path, help="folder that keeps the fitted networks")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=256, help="to compare on")
    parser.add_argument("--calibration", type=int, default=96, help="images")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--forms", nargs="+", default=[], help="their names (default: all)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables and the rows."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(4)
    train, test = pictures(args.photos)
    random = np.random.default_rng(7)
    images, scores = degraded(random, test, args.size, args.images)
    calibration = [degraded(random, train, args.size, 16)[0] for _ in range(args.calibration // 16)]
    for arch in args.models:
        model = fitted(arch, args.fitted, train, args.size)
        print(f"\n{arch}, {args.size} px, one thread", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            arms = make_arms(model, Path(folder), calibration, args.size, args.forms)
            plan = {1: 5, 16: 1}
            times = {n: measure(arms, images[:n], args.rounds, each) for n, each in plan.items()}
            for line in report(arms, times, list(images.split(16)), scores):
                print(line, flush=True)
            for count in plan:
                print("\n".join(["", *operators(Path(folder), images[:count])]), flush=True)
        row(arch, times)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
