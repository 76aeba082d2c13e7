"""What the scoring service costs over a bare loop: ``python perf/serve.py``.

A bare loop, in a process of one thread, decodes and preprocesses JPEGs from memory and calls
``InferenceSession.run`` in batches. The service does the same for a client that sends every image
in a request of its own over loopback. Both have the same core and take turns; the client has the
other cores. Compared are images a second of wall time, and CPU time an image. Then broken uploads
and dropped connections are mixed with good ones: every good one must be answered right.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ["OMP_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")

import numpy as np
import onnxruntime
import psutil
import torch
from torch import nn

from cliqa.deploy.onnx.export import export_onnx
from cliqa.inference.fast_predictor import MANY, open_fast
from cliqa.utils.cli import run_entry_point
from perf.pictures import paint
from perf.quality_networks import TORCHVISION, network
from perf.rounds import ROUNDS, print_row, spread
from perf.uploads import Answer, good, siege, stream

ROOT = Path(__file__).resolve().parents[1]
CLOSE = 1e-5
"""Scores of other batches differ by rounding alone."""

SIEGES = 5
"""How often broken uploads are sent: buffers reach their largest sizes in the first ones."""

STEPS: list[dict[str, Any]] = [
    {"type": "Resize", "size": 256},
    {"type": "CenterCrop", "size": 224},
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]
"""The preprocessing of both."""


class Tiny(nn.Module):
    """A network whose time is none: what is left is the service."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        return self.conv(images).mean((1, 2, 3)).sigmoid()


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="resnet18", choices=("tiny", *TORCHVISION))
    parser.add_argument("--images", type=int, default=64, help="of a round (default: 64)")
    parser.add_argument("--batch", type=int, default=8, help="default: 8")
    parser.add_argument("--connections", type=int, default=24, help="of the client (default: 24)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument("--broken", type=int, default=1000, help="uploads (default: 1000)")
    parser.add_argument("--dropped", type=int, default=100, help="connections (default: 100)")
    parser.add_argument("--bare", metavar="FOLDER", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the figures."""
    args = parse_args(argv)
    if args.bare:
        bare_loop(Path(args.bare), args.batch)
        return
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = paint(folder, min(args.images, 16), 512, 384)
        write_model(args.model, folder / "model.onnx")
        images = [paths[k % len(paths)].read_bytes() for k in range(args.images)]
        os.sched_setaffinity(0, cores[:1])  # what is started now stays at this core
        with loop_of(folder, args) as loop, service_of(folder, args) as (port, service):
            os.sched_setaffinity(0, cores[1:] or cores)
            compare(args, images, loop, port, service)
            besiege(args, images[: len(paths)], loop, port, service)


def write_model(name: str, file: Path) -> None:
    """Write a network as a file that the service opens."""
    torch.manual_seed(0)
    model = Tiny() if name == "tiny" else network(name)
    about = {
        "names": ["painted"],
        "classes": [],
        "channels": 3,
        "eval_transform": STEPS,
        "scenario": {"type": "QualityStream", "datasets": []},
    }
    export_onnx(model.eval(), file, channels=3, size=(224, 224), metadata=about, tolerance=1e-4)


def bare_loop(folder: Path, batch: int) -> None:
    """Score the images of a folder whenever a line comes in; tell the times and the scores."""
    predictor = open_fast(folder / "model.onnx", MANY)
    assert predictor is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    (taken,) = session.get_inputs()
    contents = {path: path.read_bytes() for path in folder.glob("*.jpg")}
    for line in sys.stdin:
        names = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        scores: list[float] = []
        for start in range(0, len(names), batch):
            paths = [folder / name for name in names[start : start + batch]]
            shown = [predictor.prepare(contents[path], path)[1] for path in paths]
            stacked = np.stack([image for image in shown if image is not None])
            scores += session.run(None, {taken.name: stacked})[0].tolist()
        told = time.perf_counter() - wall, time.process_time() - cpu, scores
        print(json.dumps(told), flush=True)


Loop = subprocess.Popen[str]


@contextmanager
def loop_of(folder: Path, args: argparse.Namespace) -> Iterator[Loop]:
    """Start the bare loop in a process of its own."""
    command = [sys.executable, __file__, "--bare", str(folder), "--batch", str(args.batch)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def run_loop(loop: Loop, count: int, kinds: int) -> tuple[float, float, list[float]]:
    """Let the bare loop score so many images; return wall and CPU seconds and the scores."""
    assert loop.stdin is not None
    assert loop.stdout is not None
    print(json.dumps([f"{k % kinds}.jpg" for k in range(count)]), file=loop.stdin, flush=True)
    wall, cpu, scores = json.loads(loop.stdout.readline())
    return wall, cpu, scores


@contextmanager
def service_of(
    folder: Path, args: argparse.Namespace
) -> Iterator[tuple[int, list[psutil.Process]]]:
    """Start the service with one process; give its port and its processes."""
    command = [sys.executable, str(ROOT / "tools" / "serve.py"), str(folder / "model.onnx")]
    command += ["--port", "0", "--processes", "1", "--batch-size", str(args.batch)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        if not line.startswith("http://"):
            raise SystemExit(line)
        own = psutil.Process(process.pid)
        try:
            yield int(line.split(":")[2].split("/")[0]), [own, *own.children()]
        finally:
            process.terminate()
        if process.wait(60):
            raise SystemExit(f"the service ended with {process.returncode}")


def cpu_of(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU seconds that processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def compare(
    args: argparse.Namespace,
    images: list[bytes],
    loop: Loop,
    port: int,
    service: list[psutil.Process],
) -> None:
    """Compare the service with the bare loop and print the row."""
    messages = [good([image]) for image in images]
    kinds = min(args.images, 16)
    walls, cpus, rates, latencies = [], [], [], []
    for turn in range(args.rounds + 1):  # the first one fills caches
        wall, cpu, scores = run_loop(loop, len(images), kinds)
        before, started = cpu_of(service), time.perf_counter()
        answers = asyncio.run(stream(port, messages, args.connections))
        own = time.perf_counter() - started
        used = cpu_of(service) - before
        check(answers, scores)
        if turn:
            walls.append(wall / own)
            cpus.append(cpu / used)
            rates.append(len(images) / own)
            latencies += [answer.seconds for answer in answers]
            print(f"loop {len(images) / wall:.1f} images a second, service {rates[-1]:.1f}")
    half, most = (1000 * float(np.percentile(latencies, share)) for share in (50, 99))
    memory = service[-1].memory_full_info().uss / 2**20
    measured = (
        f"{spread(walls)} times the images a second of a bare loop of the same decoding, "
        f"preprocessing and `InferenceSession.run` in batches of {args.batch} on the same core "
        f"({spread(rates, 1)} images a second; by CPU time {spread(cpus)}); "
        f"{args.connections} connections, an image a request: p50 {half:.0f} ms, p99 {most:.0f} "
        f"ms; a process has {memory:.0f} MiB of its own"
    )
    print_row(f"scoring service, {args.model} at 224 px", command_of(args), measured)


def check(answers: Sequence[Answer], scores: Sequence[float]) -> None:
    """Stop if an answer is missing or wrong."""
    for answer, score in zip(answers, scores, strict=True):
        if answer.status != 200 or abs(answer.content["images"][0]["score"] - score) > CLOSE:
            raise SystemExit(f"expected {score}, got {answer}")


def besiege(
    args: argparse.Namespace,
    images: list[bytes],
    loop: Loop,
    port: int,
    service: list[psutil.Process],
) -> None:
    """Send broken uploads among good ones, again and again, and print the row."""
    _, _, scores = run_loop(loop, len(images), len(images))
    fine, worker = args.broken // 4, service[-1]
    memory, seconds, counts = [worker.memory_info().rss], [], Counter[int]()
    for _ in range(SIEGES):
        right, refused = asyncio.run(siege(port, images, args.broken, args.dropped, fine))
        check(right, [scores[k % len(images)] for k in range(fine)])
        wrong = [answer for answer in refused if answer.status == 200 or answer.status >= 500]
        if wrong:
            raise SystemExit(f"broken uploads were answered with {wrong[:3]}")
        seconds += [answer.seconds for answer in right]
        counts.update(answer.status for answer in refused)
        memory.append(worker.memory_info().rss)
        print(f"{args.broken} broken uploads, {memory[-1] / 2**20:.0f} MiB", flush=True)
    told = ", ".join(f"{counts[status]} with {status or 'no answer'}" for status in sorted(counts))
    first, last = ((b - a) / 2**20 for a, b in (memory[:2], memory[-2:]))
    measured = (
        f"{SIEGES} x {fine} good requests among {SIEGES} x {args.broken} broken ones (refused: "
        f"{told}) and {SIEGES} x {args.dropped} dropped connections are all answered right, p99 "
        f"{1000 * float(np.percentile(seconds, 99)):.0f} ms; memory grows by {first:.0f} MiB with "
        f"the first {args.broken} and by {last:.1f} MiB with the last"
    )
    print_row(f"scoring service, broken uploads, {args.model}", command_of(args), measured)


def command_of(args: argparse.Namespace) -> str:
    """Return the command as it is listed."""
    return "perf/serve.py" + ("" if args.model == "resnet18" else f" --model {args.model}")


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
