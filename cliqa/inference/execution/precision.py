"""The number type of a network's passes, and what must be there to compute in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cliqa.utils.device import bfloat16_is_fast
from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

PRECISIONS = ("float32", "bfloat16", "float16", "auto")


@dataclass(frozen=True)
class Execution:
    """How a network is executed.

    Attributes:
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"`` (on CUDA alone), or ``"auto"``:
            bfloat16 where the device multiplies it itself, else float32.
        compiled: Compile the network with ``torch.compile``; its first pass takes up to a minute.

    Raises:
        ConfigError: The precision is unknown.
    """

    precision: str = "float32"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"--precision {self.precision}: unknown. Use {', '.join(PRECISIONS)}."
            )

    def precision_on(self, device: torch.device) -> str:
        """Return the precision on a device, with ``"auto"`` decided.

        Raises:
            ConfigError: The device cannot compute in it.
        """
        on_cuda = device.type == "cuda"
        if self.precision == "auto":
            return "bfloat16" if on_cuda or bfloat16_is_fast() else "float32"
        if self.precision == "float16" and not on_cuda:
            raise ConfigError(
                f"--precision float16: slow on the device '{device.type}'. Use bfloat16 or auto."
            )
        if self.precision == "bfloat16" and not on_cuda and not bfloat16_is_fast():
            logger.warning(
                "--precision bfloat16: this CPU has no bfloat16 instructions, so that it may be "
                "slower than float32"
            )
        return self.precision

    def to_row(self, device: torch.device) -> dict[str, str | bool]:
        """Return what was chosen, in JSON's own types."""
        return {"precision": self.precision_on(device), "compiled": self.compiled}

    def check_file(self, name: str) -> None:
        """Refuse what an exported file cannot do: its precision was chosen when it was exported.

        Args:
            name: The file, for the message.

        Raises:
            ConfigError: Another precision or a compiler is asked for.
        """
        if self.compiled:
            raise ConfigError(
                f"--compile: {name} is compiled by its own backend. Leave the option out."
            )
        if self.precision not in ("float32", "auto"):
            raise ConfigError(
                f"--precision {self.precision}: {name} has the precision it was exported in. "
                "Export the run once more: cliqa compress export RUN --precision fp16 (or bf16 "
                "with --backend openvino)."
            )


def asked_execution(precision: str | None, compiled: bool) -> Execution | None:
    """Return the execution that a command line asks for; None if it asks for nothing."""
    if precision is None and not compiled:
        return None
    return Execution(precision or "float32", compiled)


FLOAT32 = Execution()
"""Full precision, without a compiler."""
