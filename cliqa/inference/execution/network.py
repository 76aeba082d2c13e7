"""A network as a fast function of images: no gradients, its memory layout and its number type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cliqa.inference.execution.precision import Execution
from cliqa.models.complexity import is_convolutional
from cliqa.utils.device import check_compiler, is_of_compiler
from cliqa.utils.errors import ModelError, is_out_of_memory

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Executed:
    """A network that is evaluated on a device, in a precision.

    Weights stay in float32; in a lower precision the layers that gain by it get rounded copies
    (``torch.autocast``), and the outputs are float32.

    Args:
        network: Images (B, C, H, W) -> (B,) or (B, K), on the device. It is not changed, but for
            the memory layout of its weights.
        device: Where it computes.
        execution: How.

    Attributes:
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises:
        ConfigError: The device cannot compute in the precision, or a compiler is missing.
    """

    def __init__(self, network: nn.Module, device: torch.device, execution: Execution) -> None:
        self.device, self.precision = device, execution.precision_on(device)
        self.compiled = execution.compiled
        self._dtype = DTYPES[self.precision]
        self._layout = torch.channels_last if is_convolutional(network) else None
        if self._layout is not None:
            network.to(memory_format=self._layout)  # type: ignore[call-overload]  # of 4 axes
        self._run: Callable[[Tensor], Tensor] = network
        if self.compiled:
            check_compiler(device.type, "--compile")
            self._run = torch.compile(network)

    def __call__(self, images: Tensor) -> Tensor:
        """Return outputs (B,) or (B, K), float32 on the CPU, of images (B, C, H, W).

        Raises:
            ModelError: The network cannot be compiled.
        """
        with self.context():
            return self._outputs(self.place(images)).float().cpu()

    def place(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) on the device, in the network's memory layout."""
        images = images.to(self.device, non_blocking=True)
        if self._layout is None or images.dim() != 4:
            return images
        return images.contiguous(memory_format=self._layout)

    @property
    def name(self) -> str:
        """What it computes in, in words: ``"float32"``, ``"compiled bfloat16"`` ..."""
        return f"compiled {self.precision}" if self.compiled else self.precision

    @contextmanager
    def context(self) -> Iterator[None]:
        """Compute without gradients, and in the precision."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, self._dtype, enabled=self._dtype is not torch.float32),
        ):
            yield

    def _outputs(self, images: Tensor) -> Tensor:
        """Return the network's outputs."""
        if not self.compiled:
            return self._run(images)
        try:
            return self._run(images)
        except Exception as error:
            if is_out_of_memory(error) or not is_of_compiler(error):
                raise
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"--compile: this network cannot be compiled ({why}). Leave --compile out."
            ) from error
