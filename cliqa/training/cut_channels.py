"""A strategy whose model loses channels: what the optimizer knows of its weights loses them too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from cliqa.models.pruned import Step, apply_pruning, pruning_of, slice_of


def cut_channels(strategy: Any, steps: Sequence[Step]) -> None:  # noqa: ANN401
    """Prune a strategy's model, as `apply_pruning` does, and its optimizer with it.

    Args:
        strategy: The strategy. Its plugins are left as they are.
        steps: All steps of the pruning; those that the model has are left out.

    Raises:
        ModelError: As `apply_pruning`.
    """
    done = len(pruning_of(strategy.model))
    replaced = apply_pruning(strategy.model, steps)
    if not replaced:
        return
    _cut_optimizer(strategy.optimizer, replaced, steps[done:])
    strategy.optimized_param_id = dict(strategy.model.named_parameters())


def _cut_optimizer(
    optimizer: Optimizer,
    replaced: dict[str, tuple[torch.nn.Parameter, torch.nn.Parameter]],
    steps: Sequence[Step],
) -> None:
    """Give an optimizer the new parameters in the places, and with the averages, of the old."""
    new_of = {id(old): (name, new) for name, (old, new) in replaced.items()}
    for group in optimizer.param_groups:
        group["params"] = [new_of.get(id(p), ("", p))[1] for p in group["params"]]
    state: dict[Any, Any] = {}
    for parameter, values in optimizer.state.items():
        name, new = new_of.get(id(parameter), ("", parameter))
        state[new] = {
            key: _cut(value, name, steps) if _is_like(value, parameter) else value
            for key, value in values.items()
        }
    optimizer.state = defaultdict(dict, state)


def _cut(value: torch.Tensor, name: str, steps: Sequence[Step]) -> torch.Tensor:
    """Return what the steps leave of a tensor."""
    for step in steps:
        value = slice_of(value, name, step)
    return value.clone()


def _is_like(value: Any, parameter: torch.Tensor) -> bool:  # noqa: ANN401
    """Tell whether an optimizer's value has the shape of a parameter."""
    return isinstance(value, torch.Tensor) and value.shape == parameter.shape
