"""Mixed precision: the dtype of forward passes, and gradient scaling for float16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from cliqa.utils.errors import ConfigError

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""The dtypes by their names in a config."""


def check_amp(amp: bool | str) -> None:
    """Refuse an unknown dtype.

    Raises:
        ConfigError: It is neither a bool nor the name of a dtype.
    """
    if not isinstance(amp, bool) and amp not in DTYPES:
        raise ConfigError(f"amp: expected True, False, 'bfloat16' or 'float16', got {amp!r}.")


class Precision:
    """Full precision, or autocast with gradient scaling where it is needed.

    Weights, their gradients and the optimizer stay in float32.

    Args:
        device: Where the model runs.
        amp: Use mixed precision: ``"bfloat16"``; ``"float16"`` with gradient scaling, on CUDA
            alone; True for float16 on CUDA and bfloat16 on a CPU.

    Raises:
        ConfigError: `amp` is unknown, or the device cannot train in it.
    """

    def __init__(self, device: torch.device, amp: bool | str) -> None:
        check_amp(amp)
        on_cuda = device.type == "cuda"
        if amp == "float16" and not on_cuda:
            raise ConfigError(
                f"amp='float16': cannot train on the device '{device.type}', where gradients would "
                "underflow without scaling. Use amp='bfloat16', or amp=True for the device's "
                "default."
            )
        name = amp if isinstance(amp, str) else ("float16" if on_cuda else "bfloat16")
        self.amp = bool(amp)
        self.dtype = DTYPES[name] if amp else torch.float32
        self._device = device.type
        self._scaler = torch.amp.GradScaler("cuda", enabled=self.dtype is torch.float16)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context to run a forward pass in."""
        if not self.amp:
            return nullcontext()
        return torch.autocast(self._device, self.dtype)

    def backward(self, loss: Tensor, optimizer: Optimizer, retain_graph: bool = False) -> None:
        """Run the backward pass; the resulting gradients are unscaled."""
        self.add_gradient(loss, retain_graph)
        self.unscale(optimizer)

    def add_gradient(self, loss: Tensor, retain_graph: bool = False) -> None:
        """Add a loss's scaled gradient to the existing ones."""
        self._scaler.scale(loss).backward(retain_graph=retain_graph)

    def unscale(self, optimizer: Optimizer, factor: float = 1.0) -> None:
        """Unscale the gradients, once before a step.

        Args:
            optimizer: Has the weights.
            factor: A further factor of the unscaled gradients.
        """
        self._scaler.unscale_(optimizer)
        if factor != 1.0:
            weights = (p for group in optimizer.param_groups for p in group["params"])
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            torch._foreach_mul_(gradients, factor)

    def step(self, optimizer: Optimizer) -> None:
        """Take an optimizer step, or skip it where a float16 gradient overflowed."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the gradient scale and its history (empty in full precision)."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(state)
