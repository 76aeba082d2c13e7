"""Mixed precision: which type to compute in, and the scaling that float16 gradients need."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Precision:
    """Full precision, or autocast with gradient scaling where it is needed.

    Args:
        device: Where the model runs.
        amp: Use mixed precision: float16 with gradient scaling on CUDA, bfloat16 on a CPU.
    """

    def __init__(self, device: torch.device, amp: bool) -> None:
        self.amp = amp
        self._device = device.type
        self._dtype = torch.float16 if device.type == "cuda" else torch.bfloat16
        self._scaler = torch.amp.GradScaler("cuda", enabled=amp and device.type == "cuda")

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context to run a forward pass in."""
        if not self.amp:
            return nullcontext()
        return torch.autocast(self._device, self._dtype)

    def backward(self, loss: Tensor, optimizer: Optimizer, retain_graph: bool = False) -> None:
        """Run the backward pass; the gradients that it leaves are true ones, never scaled ones."""
        self._scaler.scale(loss).backward(retain_graph=retain_graph)
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: Optimizer) -> None:
        """Take an optimizer step, or skip it where a float16 gradient overflowed."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Return the gradient scale and its history (empty in full precision)."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        if state and self._scaler.is_enabled():
            self._scaler.load_state_dict(state)
