"""The dtype of forward passes, gradient scaling for float16, and the layout of weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cliqa.models.complexity import is_convolutional
from cliqa.utils.errors import ConfigError

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""The dtypes by their names in a config."""
AUTO = "auto"
"""The value that lets a measurement choose; see `cliqa.training.loop.fastest_step`."""


class Computation(NamedTuple):
    """How a model computes.

    Args:
        amp: The name of the dtype of mixed precision, empty for float32.
        channels_last: Weights of convolutions lie with the channels last.
    """

    amp: str = ""
    channels_last: bool = False

    def __str__(self) -> str:
        return (self.amp or "float32") + (", channels last" if self.channels_last else "")


def check_amp(amp: bool | str) -> None:
    """Refuse an unknown dtype.

    Raises:
        ConfigError: It is neither a bool nor the name of a dtype.
    """
    if not isinstance(amp, bool) and amp not in (*DTYPES, AUTO):
        raise ConfigError(
            f"amp: expected True, False, 'bfloat16', 'float16' or 'auto', got {amp!r}."
        )


class Precision:
    """Full precision, or autocast with gradient scaling where it is needed.

    Weights, their gradients and the optimizer stay in float32. In mixed precision the weights of
    convolutions lie with the channels last, for which half-precision kernels are made; it makes no
    difference to checkpoints.

    Args:
        device: Where the model runs.
        amp: Use mixed precision: ``"bfloat16"``; ``"float16"`` with gradient scaling, on CUDA
            alone; True for float16 on CUDA and bfloat16 on a CPU. ``"auto"``: float32 until `use`
            chooses.

    Attributes:
        measures: `amp` is ``"auto"``, and nothing is chosen yet.

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
        self._device = device.type
        self._auto = self.measures = amp == AUTO
        self._arranged = False
        name = amp if isinstance(amp, str) else ("float16" if on_cuda else "bfloat16")
        chosen = "" if self._auto or not amp else name
        self.use(Computation(chosen, channels_last=bool(chosen)))
        self.measures = self._auto

    def use(self, computation: Computation) -> None:
        """Compute in this way from now on; `arrange` lays the weights out for it."""
        self.computation = computation
        self.measures = False
        self.amp = bool(computation.amp)
        self.dtype = DTYPES[computation.amp] if self.amp else torch.float32
        self._scaler = torch.amp.GradScaler("cuda", enabled=self.dtype is torch.float16)

    def adopt(self, choice: Mapping[str, Any] | None) -> None:
        """Go on as a checkpoint's run did; None where it recorded nothing.

        The dtype is the checkpoint's with ``amp="auto"`` alone; the layout always is, because the
        last bits depend on it.
        """
        if self._auto and choice:
            self.use(Computation(str(choice["amp"]), bool(choice["channels_last"])))
        elif not self._auto:
            layout = bool(choice and choice["channels_last"] and self.amp)
            self.computation = self.computation._replace(channels_last=layout)

    def choice(self) -> dict[str, Any]:
        """Return what `adopt` reads; empty for plain float32 that nobody chose, and before it."""
        plain = not self._auto and self.computation == Computation()
        return {} if plain or self.measures else self.computation._asdict()

    def arrange(self, model: nn.Module) -> None:
        """Lay the weights of a model's convolutions out as this computation has them."""
        last = self.computation.channels_last and is_convolutional(model)
        if last or self._arranged:
            layout = torch.channels_last if last else torch.contiguous_format
            for weight in model.parameters():
                if weight.dim() == 4:
                    weight.data = weight.data.contiguous(memory_format=layout)
            self._arranged = last

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
