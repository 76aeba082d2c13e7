"""Refuses what has not been made for several processes."""

from __future__ import annotations

from typing import Any

from avalanche.models import MultiTaskModule
from torch.nn.modules.batchnorm import _BatchNorm

from cliqa.training.state import STATELESS, plugin_keys
from cliqa.utils.errors import ConfigError
from cliqa.utils.processes.group import size

COUNTERS = ("Clock",)
"""Plugins of Avalanche's that look at nothing but the number of batches."""


def check_processes(strategy: Any) -> None:  # noqa: ANN401  a strategy in the making
    """Refuse a run of several processes with a part that does not say how it works in them.

    A strategy and a plugin say so in their attribute `distributed`.

    Raises:
        ConfigError: One does not, the batch is too small to be shared, or the model has an output
            for each task, or batch normalisation without running statistics.
    """
    if size() == 1:
        return
    of = f"{size()} processes"
    parts = [strategy, *(p for _, p in plugin_keys(strategy) if type(p).__name__ not in COUNTERS)]
    for part in [part for part in parts if not isinstance(part, STATELESS)]:
        kind = type(part)
        if not vars(kind).get("distributed"):  # not inherited: what a subclass adds may not work
            own = kind.__module__.startswith("cliqa.")
            whose = "" if own else f" (of {kind.__module__.partition('.')[0]})"
            advice = (
                "Train it in a single process, without torchrun."
                if own
                else "Use this package's own method of that kind, or a single process, without "
                "torchrun. Your own class says how it works in several by an attribute: "
                "distributed = '...' (In several processes, in the documentation)."
            )
            raise ConfigError(
                f"cl_strategy: {kind.__name__}{whose} has not been made for several processes, and "
                f"this run has {of}. {advice}"
            )
    if strategy.train_mb_size < size():
        raise ConfigError(
            f"cl_strategy.train_mb_size={strategy.train_mb_size}: a batch is shared by {of}, and "
            f"each needs a sample. Set it to {size()} or more; it is the size of the whole batch."
        )
    if any(isinstance(module, MultiTaskModule) for module in strategy.model.modules()):
        raise ConfigError(
            f"model: a head for each task (Avalanche's MultiTaskModule) does not work in {of}. "
            "Train it in a single process, without torchrun."
        )
    plain = [
        name
        for name, module in strategy.model.named_modules()
        if isinstance(module, _BatchNorm) and not module.track_running_stats
    ]
    if plain:  # a process would normalise its share alone, or wait for others that do not evaluate
        raise ConfigError(
            f"model: {plain[0]} normalises by the batch in evaluations too "
            f"(track_running_stats=False), which {of} share. Keep running statistics, or train it "
            "in a single process, without torchrun."
        )
