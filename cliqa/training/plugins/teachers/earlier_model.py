"""A frozen copy of a model, which a checkpoint can hold."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from cliqa.models.pruned import pruning_of, widen


class EarlierModel:
    """A frozen copy of the model as it was when `take` was called; none before.

    Its state is the weights; after a restore it is built from the architecture of the model that
    it once was, whose head may have grown and whose channels may have been pruned since.
    """

    def __init__(self) -> None:
        self._model: nn.Module | None = None
        self._weights: dict[str, Tensor] | None = None  # of a copy that is not built yet
        self._pruned = 0  # pruning steps of the model that the copy has

    def __bool__(self) -> bool:
        return self._model is not None or self._weights is not None

    def take(self, model: nn.Module) -> None:
        """Copy a model as it is now."""
        self._model, self._weights = frozen_copy(model), None
        self._pruned = len(pruning_of(model))

    def of(self, model: nn.Module) -> nn.Module | None:
        """Return the frozen copy in evaluation mode, or None.

        Args:
            model: The model as it is now.
        """
        if self._weights is not None:
            self._model = frozen_copy(model)
            widen(self._model, self._weights, self._pruned)
            self._weights = None
        return self._model

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and statistics of the copy, empty without one."""
        if not self:
            return {}
        weights = self._weights if self._model is None else self._model.state_dict()
        return {"weights": weights, "pruned": self._pruned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self._model, self._weights = None, state.get("weights")
        self._pruned = state.get("pruned", 0)


def frozen_copy(model: nn.Module) -> nn.Module:
    """Return a frozen copy of a model in evaluation mode."""
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    for parameter in frozen.parameters():
        parameter.grad = None
    return frozen
