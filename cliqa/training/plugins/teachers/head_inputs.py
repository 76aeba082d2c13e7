"""What goes into a model's head, for the distance of features from an earlier model's.

Legend: M samples, D features.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.utils.errors import ConfigError


class HeadInputs:
    """Records what a model's ``head`` gets in the forward pass within a ``with`` block.

    Args:
        model: Has a module ``head``.

    Raises:
        ConfigError: It has none.
    """

    def __init__(self, model: nn.Module) -> None:
        head = getattr(model, "head", None)
        if not isinstance(head, nn.Module):
            raise ConfigError(
                f"LadderRehearsal: features > 0 compares what goes into the model's head, and a "
                f"{type(model).__name__} has no module 'head'. Use features=0."
            )
        self._head = head
        self._found: list[Tensor] = []

    def __enter__(self) -> HeadInputs:
        self._hook = self._head.register_forward_pre_hook(self._keep)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hook.remove()

    def vectors(self) -> Tensor:
        """Return the head's inputs, flattened and joined, (M, D) float32."""
        return torch.cat([part.flatten(1).float() for part in self._found], dim=1)

    def _keep(self, head: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Keep the tensors among a head's inputs, also those in a tuple or a list."""
        flat = [x for part in inputs for x in (part if isinstance(part, tuple | list) else [part])]
        self._found = [part for part in flat if isinstance(part, Tensor)]


def feature_distance(features: Tensor, earlier: Tensor) -> Tensor:
    """Return the mean squared difference relative to the variance of the earlier ones, a scalar.

    Args:
        features: (M, D), the gradient goes here.
        earlier: (M, D), the earlier model's.

    >>> earlier = torch.tensor([[0.0, 2.0], [2.0, 0.0]])
    >>> float(feature_distance(earlier + 1, earlier))
    1.0
    """
    spread = (earlier - earlier.mean(dim=0)).square().mean()
    return (features - earlier).square().mean() / spread.clamp(min=1e-8)
