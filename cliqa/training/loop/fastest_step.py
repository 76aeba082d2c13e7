"""Which precision and layout train a model fastest here, measured in about a second."""

from __future__ import annotations

import copy
import time

import torch
from torch import Tensor, nn

from cliqa.models.complexity import is_convolutional
from cliqa.models.freezing import set_training
from cliqa.training.loop.batching import apply_model, as_tensor
from cliqa.training.loop.precision import Computation, Precision

BUDGET = 1.0
"""Seconds that all measurements take together, about."""
GAIN = 1.1
"""How many times as fast another computation must be to replace the plainer one before it."""


def fastest_step(
    model: nn.Module, images: Tensor, device: torch.device
) -> tuple[Computation, dict[Computation, float]]:
    """Time forward and backward passes of a copy of the model in training mode.

    Float32 comes first, then float32 with the channels last, then bfloat16: a later one is chosen
    where it is `GAIN` times as fast, so that equal ones leave the numbers as they are. The model
    and the random generators are not changed.

    Args:
        model: (B, ...) -> (B,) or (B, K), on the device.
        images: A training batch (B, ...); where it takes long, some of it is used.
        device: Where to run.

    Returns:
        The choice, and the seconds of a pass for each that could be run.
    """
    trial = copy.deepcopy(model)
    set_training(trial, True)
    images = images.to(device)
    last = [Computation(channels_last=True)] if is_convolutional(model) else []
    kinds = [Computation(), *last, Computation("bfloat16", channels_last=bool(last))]
    seconds: dict[Computation, float] = {}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        _seconds(trial, images[:2], Precision(device, False))  # allocates, and fills caches
        single = _seconds(trial, images[:2], Precision(device, False)) / len(images[:2])
        rounds = 3
        share = BUDGET / (len(kinds) * (rounds + 1))
        images = images[: max(2, min(len(images), int(share / max(single, 1e-6))))]
        for turn in range(rounds + 1):
            for kind in list(kinds):
                precision = Precision(device, False)
                precision.use(kind)
                precision.arrange(trial)
                if not kind.channels_last:
                    _contiguous(trial)
                try:
                    used = _seconds(trial, images, precision)
                except RuntimeError:  # a layer has no such kernel
                    kinds.remove(kind)
                    seconds.pop(kind, None)
                    continue
                if turn:
                    seconds[kind] = min(used, seconds.get(kind, used))
    chosen = kinds[0]
    for kind in kinds[1:]:
        if seconds[kind] * GAIN < seconds[chosen]:
            chosen = kind
    return chosen, seconds


def _contiguous(model: nn.Module) -> None:
    """Lay all weights out plainly again."""
    for weight in model.parameters():
        weight.data = weight.data.contiguous()


def _seconds(model: nn.Module, images: Tensor, precision: Precision) -> float:
    """Return the seconds of a pass forward and backward."""
    started = time.perf_counter()
    with torch.enable_grad():
        with precision.autocast():
            output = as_tensor(apply_model(model, images))
        loss = output.float().square().mean()
        if loss.requires_grad:
            loss.backward()
    if images.is_cuda:
        torch.cuda.synchronize(images.device)
    model.zero_grad()
    return time.perf_counter() - started
