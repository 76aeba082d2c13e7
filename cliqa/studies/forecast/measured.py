"""The times of a config's parts, measured on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.benchmarks.workers import most_useful
from cliqa.engine.build import Parts, build
from cliqa.engine.loggers.forecast import StepWork, work_of
from cliqa.engine.trial.timing import copied_stream, time_parts
from cliqa.studies.forecast.cost import Measured
from cliqa.studies.forecast.stand_in import StandIn, missing_data_sets, stand_in
from cliqa.transforms.pixel_store.choose import SHARE
from cliqa.utils.cache_folder import cache_folder
from cliqa.utils.device import AUTO_WORKERS
from cliqa.utils.memory import available_memory
from cliqa.utils.paths import free_space


def measure(config: Mapping[str, Any], device: torch.device, imports: float = 0.0) -> Measured:
    """Build a config's parts as training does, and time them; nothing of a run is written.

    Data sets whose folders are missing are stood in for by images of `stand_in.SIZE`.

    Args:
        config: Resolved and checked.
        device: Where the runs train.
        imports: Seconds of a process's start.

    Raises:
        CliqaError: A part cannot be built, or the data are wrong, or missing and needed.
    """
    if not missing_data_sets(config["scenario"]):
        return _measure(dict(config), device, imports)
    with tempfile.TemporaryDirectory() as folder:
        images = stand_in(config["scenario"], Path(folder))
        return _measure({**config, "scenario": images.scenario}, device, imports, images)


def _measure(
    config: dict[str, Any], device: torch.device, imports: float, images: StandIn | None = None
) -> Measured:
    """Time the parts of a config whose data are there."""
    started = time.perf_counter()
    parts = build(config, device)
    start = imports + time.perf_counter() - started
    cache = getattr(parts.benchmark, "pixel_cache", None)
    kept, needed = (cache.kind, cache.needed) if cache is not None else ("ram", 0)
    workers = int(parts.strategy.options.num_workers)
    if images is not None:
        known = sum(len(source) for source in parts.benchmark.sources.values())
        needed = round(needed / known * sum(images.sizes.values()))
        kept = _kept(config["scenario"].get("cache", "auto"), needed)
        workers = _workers(config.get("num_workers", 0))
        if kept is None:  # read again in every epoch, as all of the data will be
            config = {**config, "scenario": {**config["scenario"], "cache": False}}
            parts = build(config, device)
    return Measured(
        work=_work(parts, images.sizes if images is not None else None),
        workers=workers,
        validate_every=int(parts.strategy.options.validate_every),
        kept=kept,
        kept_bytes=needed if kept else 0,
        checkpoints=_checkpoints(parts),
        start=start,
        real=images is None,
        timings=time_parts(parts),
    )


def _work(parts: Parts, sizes: Mapping[tuple[str, str], int] | None) -> Sequence[StepWork]:
    """Return the training steps of a stream, with the sizes of the data that it stands for."""
    if sizes is None:
        steps = parts.strategy.steps(parts.benchmark.train_stream)
        return work_of(parts.strategy, parts.benchmark, steps)
    stream = copied_stream(parts)
    for piece in stream:
        piece._dataset = range(sizes[piece.name, "train"])  # of which only the length is asked
    return work_of(parts.strategy, parts.benchmark, parts.strategy.steps(stream), sizes)


def _kept(mode: str | bool, needed: int) -> str | None:
    """Return where so many bytes of images would be kept, by the rule of `PixelCache`."""
    if mode != "auto":
        return mode if isinstance(mode, str) else None
    if needed <= SHARE * available_memory():
        return "ram"
    return "disk" if needed <= SHARE * free_space(cache_folder()) else None


def _workers(asked: int | str) -> int:
    """Return the processes that read the images of large data sets."""
    return most_useful() if asked == AUTO_WORKERS else int(asked)


def _checkpoints(parts: Parts) -> int:
    """Return how many checkpoints a run keeps: of every experience, before the last end, the best.

    Those of ``checkpoint_config.interval`` come on top.
    """
    steps = parts.strategy.steps(parts.benchmark.train_stream)
    options = parts.config.get("checkpoint_config") or {}
    inside = 0
    if options.get("interval"):
        inside = sum(parts.strategy.epochs_of(step) // options["interval"] for step in steps)
        inside = min(inside, options.get("keep") or inside)
    return len(steps) + 2 + inside
