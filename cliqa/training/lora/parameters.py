"""Which parameters of a model with adapters train."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import nn

from cliqa.models.freezing import matches
from cliqa.models.lora.layer import OWN
from cliqa.training.views.views import norm_modules
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def is_adapter(name: str) -> bool:
    """Tell whether a tensor is an adapter's own.

    >>> is_adapter("backbone.conv1.lora_A"), is_adapter("backbone.conv1.weight")
    (True, False)
    """
    return name.rpartition(".")[2] in OWN


def norms_beside(model: nn.Module, heads: Sequence[str]) -> list[str]:
    """Return the names of the normalisation layers outside the heads."""
    return [name for name in norm_modules(model) if not matches(name, heads)]


def set_trainable(
    model: nn.Module,
    *,
    free: Collection[str],
    parts: Sequence[str],
    adapters: bool,
    fixed_rows: bool = False,
) -> None:
    """Let some parameters train, and no others.

    Args:
        model: The model.
        free: The parameters that the model itself lets train; adapters need not be there.
        parts: Names of the parts that train.
        adapters: Whether the adapters train.
        fixed_rows: Of the adapters B alone trains.
    """
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            trains = adapters and not (fixed_rows and name.endswith("lora_A"))
        else:
            trains = name in free and matches(name, parts)
        parameter.requires_grad_(trains)


def log_trainable(model: nn.Module) -> None:
    """Log how many of the parameters train."""
    count = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    text = f"{trained:,} of {count:,} parameters train ({trained / count:.1%})"
    logger.info("LoRA: %s.", text)
