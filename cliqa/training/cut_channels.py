"""Channel pruning of a strategy's model together with its optimizer's state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from cliqa.models.pruned import Step, apply_pruning, pruning_of, slice_of
from cliqa.training.strategy import Strategy


def cut_channels(strategy: Strategy, steps: Sequence[Step]) -> None:
    """Prune a strategy's model, as `apply_pruning` does, and its optimizer with it.

    Args:
        strategy: The strategy. Its plugins are not changed.
        steps: All pruning steps; those already applied to the model are skipped.

    Raises:
        ModelError: As `apply_pruning`.
    """
    done = len(pruning_of(strategy.model))
    replaced = apply_pruning(strategy.model, steps)
    if not replaced:
        return
    _cut_optimizer(strategy.optimizer, replaced, steps[done:])
    own = dict(strategy.model.named_parameters())
    strategy.optimized_param_id = own  # type: ignore[attr-defined]  # Avalanche's record


def _cut_optimizer(
    optimizer: Optimizer,
    replaced: dict[str, tuple[torch.nn.Parameter, torch.nn.Parameter]],
    steps: Sequence[Step],
) -> None:
    """Replace an optimizer's parameters, and slice their statistics."""
    new_of = {id(old): (name, new) for name, (old, new) in replaced.items()}
    for group in optimizer.param_groups:
        group["params"] = [new_of.get(id(p), ("", p))[1] for p in group["params"]]
    state: dict[Any, Any] = {}
    for parameter, values in optimizer.state.items():
        name, new = new_of.get(id(parameter), ("", parameter))
        state[new] = {
            key: _cut(value, name, steps)
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape
            else value
            for key, value in values.items()
        }
    optimizer.state = defaultdict(dict, state)


def _cut(value: torch.Tensor, name: str, steps: Sequence[Step]) -> torch.Tensor:
    """Return a tensor after the pruning steps."""
    for step in steps:
        value = slice_of(value, name, step)
    return value.clone()
