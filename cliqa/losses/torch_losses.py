"""torch's losses (`L1Loss`, `MSELoss`, `HuberLoss`, `SmoothL1Loss` ...) under their own names."""

from __future__ import annotations

import inspect

from torch import nn

from cliqa.registry import LOSSES


def _is_loss(name: str, value: object) -> bool:
    """Return whether a public object of ``torch.nn`` is a loss."""
    return inspect.isclass(value) and issubclass(value, nn.Module) and name.endswith("Loss")


LOSSES.add_upstream(nn, _is_loss, "torch")
LOSSES.for_files = lambda _: True  # they compute, and nothing else
