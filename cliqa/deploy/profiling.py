"""The cost of a model: parameters, MACs, latency, memory.

Latency is measured of any callable from a batch to an output, so that an exported model is measured
like a PyTorch model.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cliqa.deploy.onnx.session import first_line
from cliqa.models.complexity import count_macs
from cliqa.utils.errors import CliqaError, ConfigError, ModelError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Forward = Callable[[torch.Tensor], Any]
"""A batch (B, C, H, W) -> an output: a model, or an exported one behind a function."""


@dataclass(frozen=True)
class Latency:
    """How long a forward pass takes.

    Attributes:
        p50_ms: Median of the wall time, in milliseconds.
        p95_ms: The 95th percentile of the wall time.
        cpu_ms: Median of the process's time on all its threads. On a busy machine it is steadier
            than the wall time; on a GPU it is that of the launching alone.
        images_per_s: Images of all passes by their wall time.
    """

    p50_ms: float
    p95_ms: float
    cpu_ms: float
    images_per_s: float


@dataclass(frozen=True)
class Profile:
    """One row of a profile.

    Attributes:
        name: The model.
        backend: The library that runs it.
        device: Where.
        threads: Threads of the CPU.
        batch: Images B.
        height: H.
        width: W.
        gmacs: Multiply-accumulates of one image, in 1e9; None where they cannot be counted.
        gflops: Twice that: a multiplication and an addition are two operations.
        p50_ms: See `Latency`, as the next three.
        p95_ms: See `Latency`.
        cpu_ms: See `Latency`.
        images_per_s: See `Latency`.
        peak_mib: Of the GPU's memory, what tensors took at most; on a CPU the process's largest
            resident size, Python and the libraries included. None where the system does not tell.
    """

    name: str
    backend: str
    device: str
    threads: int
    batch: int
    height: int
    width: int
    gmacs: float | None
    gflops: float | None
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    images_per_s: float
    peak_mib: float | None

    def to_row(self) -> dict[str, Any]:
        """Return the profile as plain values."""
        return asdict(self)


def count_parameters(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Return how many parameters a model has, and how many of them are trained.

    Returns:
        (all, trainable) by top-level part, then of the ``"total"``. A parameter that two parts
        share is counted in the first.
    """
    seen: set[int] = set()
    parts: dict[str, tuple[int, int]] = {}
    for name, parameter in model.named_parameters():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            every, trained = parts.get(part := name.partition(".")[0], (0, 0))
            size = parameter.numel()
            parts[part] = (every + size, trained + size * parameter.requires_grad)
    total = tuple(sum(column) for column in zip(*parts.values(), strict=True)) or (0, 0)
    return {**parts, "total": (total[0], total[1])}


def weight_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's parameters and buffers, as they are in memory.

    >>> weight_bytes(nn.Linear(3, 2))
    32
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())


def measure_latency(
    forward: Forward, batch: torch.Tensor, *, warmup: int = 3, repeats: int = 20
) -> Latency:
    """Return how long a forward pass takes.

    Args:
        forward: The model.
        batch: Its input, on its device; a GPU is waited for after every pass.
        warmup: Passes before the first that counts.
        repeats: Passes that count.

    Raises:
        ConfigError: A number of passes is out of range.
    """
    if warmup < 0 or repeats < 1:
        raise ConfigError(f"warmup={warmup} must be 0 or more, repeats={repeats} 1 or more.")
    wall, process = [], []
    for index in range(warmup + repeats):
        _wait(batch.device)
        started, used = time.perf_counter(), time.process_time()
        forward(batch)
        _wait(batch.device)
        if index >= warmup:
            wall.append(time.perf_counter() - started)
            process.append(time.process_time() - used)
    p50, p95 = (1e3 * float(value) for value in np.percentile(wall, [50, 95]))
    speed = len(batch) * repeats / sum(wall)
    return Latency(p50, p95, 1e3 * float(np.median(process)), speed)


@torch.no_grad()
def measure_in_turns(
    baseline: Forward, other: Forward, batch: torch.Tensor, *, warmup: int = 3, rounds: int = 15
) -> tuple[float, float]:
    """Return the median CPU times of two models in milliseconds, measured in turns.

    Each round has one pass of either, so that other processes disturb both alike. The CPU time adds
    up the threads: it measures the work of a pass, not its duration. Threads that wait for each
    other count as well, so that one thread alone gives steady times.

    Raises:
        ConfigError: A number of rounds is out of range.
    """
    if warmup < 0 or rounds < 1:
        raise ConfigError(f"warmup={warmup} must be 0 or more, rounds={rounds} 1 or more.")
    times: tuple[list[float], list[float]] = ([], [])
    for index in range(warmup + rounds):
        for forward, kept in zip((baseline, other), times, strict=True):
            started = time.process_time()
            forward(batch)
            if index >= warmup:
                kept.append(time.process_time() - started)
    first, second = (1e3 * float(np.median(kept)) for kept in times)
    # a coarse clock can measure 0 for a very small model
    return max(first, 1e-6), max(second, 1e-6)


def profile_forward(
    forward: Forward,
    batch: torch.Tensor,
    *,
    name: str,
    backend: str = "torch",
    warmup: int = 3,
    repeats: int = 20,
) -> Profile:
    """Measure one model at one size.

    The MACs of a PyTorch model, which is to be in evaluation mode, are counted too.

    Raises:
        ModelError: The model fails with such a batch.
    """
    size = f"batch {len(batch)}, {batch.shape[-1]} x {batch.shape[-2]} pixels"
    device = batch.device
    try:
        with torch.no_grad():
            macs = count_macs(forward, batch[:1]) if isinstance(forward, nn.Module) else None
            with peak_memory(device) as peak:
                found = measure_latency(forward, batch, warmup=warmup, repeats=repeats)
    except torch.cuda.OutOfMemoryError as error:
        raise ModelError(f"{name}: {size}: the GPU's memory is too small for it.") from error
    except (CliqaError, RuntimeError, ValueError, AssertionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ModelError(
            f"{name}: fails at {size} ({first_line(error)}). Choose other sizes or batch sizes."
        ) from error
    return Profile(
        name=name,
        backend=backend,
        device=str(device),
        threads=torch.get_num_threads(),
        batch=len(batch),
        height=batch.shape[-2],
        width=batch.shape[-1],
        gmacs=None if macs is None else macs / 1e9,
        gflops=None if macs is None else 2 * macs / 1e9,
        peak_mib=peak[0],
        **asdict(found),
    )


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[list[float | None]]:
    """Measure the memory that a block takes at most; see `Profile`.

    Yields:
        A list of one value, in MiB, that is filled in when the block has ended.
    """
    peak: list[float | None] = [None]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak[0] = torch.cuda.max_memory_allocated(device) / 2**20
        return
    with contextlib.suppress(OSError):  # without it the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")
    yield peak
    peak[0] = _resident_peak()


def _resident_peak() -> float | None:
    """Return the largest resident size of this process, in MiB."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    if resource is None:
        return None
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (2**20 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere


def _wait(device: torch.device) -> None:
    """Wait until a GPU has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
