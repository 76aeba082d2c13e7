"""What a run says at its start: data, model, method, machine."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from cliqa.benchmarks.experience import unseen_names
from cliqa.utils.device import processor_name
from cliqa.utils.memory import peak_memory, tensor_bytes
from cliqa.utils.processes.group import size

WIDTH = 80
LABEL = 9
"""Widths of a line and of the word at its start, in characters."""

MOST = 10
"""Data sets that have a line of their own."""

GIB = 1024**3


def describe_run(
    config: Mapping[str, Any],
    strategy: SupervisedTemplate,
    benchmark: CLScenario,
    device: torch.device,
) -> list[str]:
    """Return the lines that a run begins with, of at most 80 characters.

    Args:
        config: The resolved config.
        strategy: The strategy with the model.
        benchmark: The stream.
        device: Where the model is.
    """
    cache = getattr(benchmark, "pixel_cache", None)
    return [
        *_block("data", _data_lines(strategy, benchmark)),
        *_block("images", [cache.notice] if cache is not None and cache.notice else []),
        *_block("model", [_model_line(config, strategy.model)]),
        *_block("method", [_method_line(config["cl_strategy"], strategy)]),
        *_block("machine", [_machine_line(strategy, device)]),
        *_block("memory", [_memory_line(strategy.model, device)]),
    ]


def _block(label: str, texts: Sequence[str]) -> list[str]:
    """Return lines under one label, wrapped."""
    room = WIDTH - LABEL
    lines = [
        line[:room] for text in texts for line in textwrap.wrap(text, room, drop_whitespace=False)
    ]
    return [
        f"{label if not index else '':<{LABEL}}{line}".rstrip() for index, line in enumerate(lines)
    ]


def _data_lines(strategy: SupervisedTemplate, benchmark: CLScenario) -> list[str]:
    """Return a line a data set with its counts and steps."""
    steps = strategy.steps(benchmark.train_stream)
    rows = [_counts(benchmark, name) for name in benchmark.names]
    if len(steps) == len(rows):
        rows = [row + _work(strategy, steps, index) for index, row in enumerate(rows)]
    names = [name if len(name) <= 20 else f"{name[:17]}..." for name in benchmark.names]
    width = max(map(len, names))
    lines = [f"{name:<{width}}  {row}" for name, row in zip(names, rows, strict=True)]
    if len(lines) > MOST:
        left = len(lines) - MOST
        lines = [*lines[: MOST - 1], f"... and {left} more like these", lines[-1]]
    lines += [f"{n}  {_counts(benchmark, n)}, never trained on" for n in unseen_names(benchmark)]
    if len(steps) != len(rows):
        lines.append(f"all at once{_work(strategy, steps, 0)}" if len(steps) == 1 else "")
    return [line for line in lines if line]


def _counts(benchmark: CLScenario, name: str) -> str:
    """Return a data set's numbers of samples."""
    sources = benchmark.sources
    splits = [split for split in ("train", "val", "test") if (name, split) in sources]
    sizes = {split: len(sources[name, split]) for split in splits}
    return ", ".join(f"{split} {size:,}" for split, size in sizes.items() if size)


def _work(strategy: SupervisedTemplate, steps: Sequence[Any], index: int) -> str:
    """Return the batches and epochs of a step."""
    samples, size = strategy.samples_of(steps, index), strategy.train_mb_size
    batches = max(1, samples // size + (samples % size > 1 or 0 < samples < size))
    whole = strategy.options.accumulate
    count = -(-batches // whole)
    epochs = strategy.epochs_of(steps[index])
    return f": {count:,} step{'s' * (count != 1)} x {epochs} epoch{'s' * (epochs != 1)}"


def _model_line(config: Mapping[str, Any], model: nn.Module) -> str:
    """Return the model's name and size."""
    backbone = config["model"].get("backbone")
    if isinstance(backbone, Mapping):
        depth = backbone.get("depth", backbone.get("arch", ""))
        backbone = f"{backbone.get('type', '')} {depth}".strip()
    name = type(model).__name__ + (f" over {backbone}" if backbone else "")
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    share = 100 * trained / max(1, total)
    return f"{name}: {_millions(total)} parameters, {share:.3g} % trainable"


def _millions(count: int) -> str:
    """Return a number of parameters for people."""
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,}"


def _method_line(section: Mapping[str, Any], strategy: SupervisedTemplate) -> str:
    """Return the strategy, its plugins, the optimizer and the batch size."""
    names = [str(section["type"])]
    names += [str(plugin.get("type")) for plugin in section.get("plugins") or []]
    rate = strategy.optimizer.param_groups[0]["lr"]
    batch = f"batches of {strategy.train_mb_size}"
    if strategy.options.accumulate > 1:
        batch += f" x {strategy.options.accumulate}"
    optimizer = f"{type(strategy.optimizer).__name__}, lr {rate:g}"
    return f"{' + '.join(names)}; {optimizer}, {batch}; seed {strategy.options.seed}"


def _machine_line(strategy: SupervisedTemplate, device: torch.device) -> str:
    """Return the processes if there are several, the device, the precision and the workers."""
    if device.type == "cuda":
        name = f"{device}, {torch.cuda.get_device_name(device)}"
    else:
        threads = torch.get_num_threads()
        name = f"CPU ({processor_name()}), {threads} thread{'s' * (threads != 1)}"
    mixed = "mixed " if strategy.precision.amp else ""
    precision = f"{mixed}{strategy.precision.computation}"
    workers = strategy.options.num_workers
    readers = f"{workers} process{'es' * (workers != 1)} that read{'s' * (workers == 1)}"
    if size() > 1:
        name = f"{size()} processes, the first on {name}"
    return f"{name}; {precision}; {readers if workers else 'images are read in this process'}"


def _memory_line(model: nn.Module, device: torch.device) -> str:
    """Return the model's bytes, and what is in use."""
    weights = tensor_bytes(model.state_dict()) / 1024**2
    used = peak_memory(device) / GIB
    total = _memory_of(device) / GIB
    of = f" of {total:.1f}" if total else ""
    return f"{weights:,.1f} MiB of weights; {used:.1f}{of} GiB in use"


def _memory_of(device: torch.device) -> int:
    """Return a device's memory in bytes, 0 if the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
