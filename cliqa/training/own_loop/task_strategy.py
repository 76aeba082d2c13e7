"""Continual-learning methods for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.training.loop.batching import model_output
from cliqa.utils.errors import ConfigError

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Outputs (B,) or (B, K) and targets (B,) -> a scalar."""


class ContinualLearningStrategy:
    """What is done before, during and after every task; this one does nothing but train.

    A method of one's own overrides what it changes. One with a memory overrides `state_dict` and
    `load_state_dict` too, or a loop that is stopped cannot go on as it was.
    """

    def before_task(self, model: nn.Module, task_id: int) -> None:
        """Prepare for a task.

        Args:
            model: The model, as the tasks so far left it.
            task_id: The task's number.
        """

    def compute_loss(
        self,
        model: nn.Module,
        batch: Sequence[Any],
        task_id: int,
        criterion: Criterion,
        **_: Any,  # noqa: ANN401
    ) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            model: The model.
            batch: Inputs (B, ...) and targets (B,), on the model's device.
            task_id: The task's number.
            criterion: The loss of the task alone.
        """
        return task_loss(model_output(model, batch[0]), batch[1], criterion)

    def after_task(self, model: nn.Module, task_id: int, dataloader: Any = None) -> None:  # noqa: ANN401
        """Remember a task.

        Args:
            model: The model, as the task left it.
            task_id: The task's number.
            dataloader: Batches of the task's data.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what is remembered: tensors and plain types only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""


def task_loss(outputs: Tensor, targets: Tensor, criterion: Criterion) -> Tensor:
    """Return the task's own loss.

    Raises:
        ConfigError: Scores and targets differ in their shapes, which torch would broadcast, or the
            scores are a column, which would pass for the logits of a single class.
    """
    column = outputs.dim() == 2 and outputs.shape[1] == 1
    if targets.is_floating_point() and (column or outputs.shape != targets.shape):
        raise ConfigError(
            f"the model's outputs have the shape {tuple(outputs.shape)}, the targets "
            f"{tuple(targets.shape)}. A model of scores gives (B,): end its forward with [:, 0], "
            "and give the targets the same shape."
        )
    return criterion(outputs, targets)


def device_of(model: nn.Module) -> torch.device:
    """Return where a model's first parameter lies; the CPU for a model without any."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))
