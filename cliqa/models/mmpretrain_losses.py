"""mmpretrain's losses, for classification: `CrossEntropyLoss(loss_weight=...)` and the like."""

from __future__ import annotations

import inspect

from torch import nn

from cliqa.models.mmpretrain_bridge import import_mmpretrain
from cliqa.registry import LOSSES


def register_losses() -> None:
    """Register mmpretrain's losses before torch's of the same name, which stay as ``torch.X``."""
    for name, component in import_mmpretrain().module_dict.items():
        if (
            inspect.isclass(component)
            and issubclass(component, nn.Module)
            and component.__module__.startswith("mmpretrain.models.losses")
        ):
            LOSSES.upstream[name] = component
            LOSSES.upstream[f"mmpretrain.{name}"] = component


register_losses()
