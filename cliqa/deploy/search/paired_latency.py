"""The times of two models, measured in turns, so that what disturbs one disturbs both."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from cliqa.deploy.profiling import Forward
from cliqa.utils.errors import ConfigError


@dataclass(frozen=True)
class PairedLatency:
    """CPU times of a pass over one batch.

    On a busy machine the process's own time is steadier than the clock on the wall. It adds up the
    threads, so that it measures the work of a pass, not its duration. Threads that wait for
    each other count as well, so that one thread alone gives steady times.

    Attributes:
        baseline_ms: Median of the baseline, in milliseconds.
        other_ms: Median of the other one.
    """

    baseline_ms: float
    other_ms: float

    @property
    def faster(self) -> float:
        """How many times faster the other one is."""
        return self.baseline_ms / self.other_ms


@torch.no_grad()
def measure_in_turns(
    baseline: Forward,
    other: Forward,
    batch: torch.Tensor,
    *,
    warmup: int = 3,
    rounds: int = 15,
) -> PairedLatency:
    """Time two models on the same batch, one pass of each a round.

    Args:
        baseline: A batch (B, C, H, W) -> outputs.
        other: The same.
        batch: Images.
        warmup: Rounds before the first that counts.
        rounds: Rounds that count.

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
    # a clock of coarse steps can read nothing at all for a very small model
    return PairedLatency(max(first, 1e-6), max(second, 1e-6))
