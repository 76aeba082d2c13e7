"""mmpretrain's networks that hide parts of the image: for its pretraining, not as backbones."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from cliqa.utils.errors import ModelError

SPARSE = "mmpretrain.models.backbones.sparse_"
"""The modules of networks whose convolutions need a mask that the pretraining sets."""


def check_backbone(component: object, where: str = "model.backbone") -> None:
    """Refuse a network that computes no features of whole images.

    Args:
        component: A class (or a function, which is accepted).
        where: Its key path, for the message.

    Raises:
        ModelError: Its forward pass takes a mask of what to hide.
    """
    if not (isinstance(component, type) and _hides(component)):
        return
    whole = next(
        (
            base.__name__
            for base in component.__mro__[1:]
            if base.__module__.startswith("mmpretrain.models.") and not _hides(base)
        ),
        "VisionTransformer",
    )
    raise ModelError(
        f"{where} '{component.__name__}': is made for mmpretrain's own pretraining, which hides "
        f"parts of each image. Use '{whole}', whose weights have the same names."
    )


def _hides(component: type) -> bool:
    """Return whether a class's forward pass takes more than images, or is sparse."""
    if not issubclass(component, nn.Module):
        return False
    if component.__module__.startswith(SPARSE):
        return True
    forward: Any = component.forward
    try:
        more = list(inspect.signature(forward).parameters.values())[2:]  # after self and images
    except (TypeError, ValueError):
        return False
    named = [p for p in more if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)]
    return any(p.default is p.empty or (p.name == "mask" and p.default is True) for p in named)
