"""The passes of a training step, compiled by ``torch.compile``."""

from __future__ import annotations

from typing import Any

from avalanche.models import MultiTaskModule
from torch import Tensor, compile, nn  # noqa: A004

from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.utils.device import check_compiler, is_of_compiler
from cliqa.utils.errors import ConfigError, first_line, is_out_of_memory

OPTION = "cl_strategy.compile"


class CompiledPasses:
    """The training passes of one model.

    The model is not changed. Its other passes (evaluation, importances, teachers) are not compiled,
    nor are those that a method watches by hooks, which a compiled pass would leave out.

    Args:
        model: The model.
        device: The kind of its device: ``"cpu"``, ``"cuda"``.

    Raises:
        ConfigError: A compiler is missing.
    """

    def __init__(self, model: nn.Module, device: str) -> None:
        check_compiler(device, OPTION)
        self._model = model
        self._run: Any = compile(model)

    def takes(self, model: nn.Module) -> bool:
        """Return whether a pass of a model is compiled."""
        if model is not self._model or not model.training or isinstance(model, MultiTaskModule):
            return False
        return not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())

    def __call__(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the model's output.

        Raises:
            ConfigError: The model cannot be compiled.
        """
        try:
            return apply_model(self._run, images)
        except Exception as error:
            if is_out_of_memory(error) or not is_of_compiler(error):
                raise
            raise ConfigError(
                f"{OPTION}: this network cannot be compiled ({first_line(error)}). Leave it out."
            ) from error
