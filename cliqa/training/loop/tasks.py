"""Models of Avalanche's with a head for every task, as methods measure them and learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from avalanche.models import MultiTaskModule
from torch import Tensor, nn

from cliqa.training.loop.stream_data import classes_of, tasks_of
from cliqa.training.strategy import Batch, Strategy
from cliqa.utils.errors import ConfigError


@contextmanager
def one_head(strategy: Strategy) -> Iterator[None]:
    """Let a model with several heads answer ``model(inputs)`` by the head of the experience's task.

    A model with a single head is left as it is.

    Raises:
        ConfigError: The model has several heads, and the experience has several tasks.
    """
    model = strategy.model
    if not isinstance(model, MultiTaskModule):
        yield
        return
    tasks = list(tasks_of(strategy.experience))
    if len(tasks) != 1:
        raise ConfigError(
            f"an experience with the tasks {tasks} and a {type(model).__name__}: this method "
            "measures samples of one task at a time. Make one experience of each task."
        )
    whole = type(model).forward
    own = vars(model)  # a decorated model passes attributes on to the one inside
    own["forward"] = lambda inputs: whole(model, inputs, tasks[0])
    try:
        yield
    finally:
        del own["forward"]


def outputs_by_task(
    model: nn.Module, teacher: nn.Module, batch: Batch
) -> dict[int, tuple[Tensor, Tensor]] | None:
    """Return the outputs of a model and of its teacher for a batch by task, (B, K) each.

    Returns:
        Those of all tasks that the teacher knows; None where the model has a single head.
    """
    if not isinstance(model, MultiTaskModule):
        return None
    with torch.no_grad():
        truths = teacher(batch[0], None)
    outputs = model(batch[0], None)
    return {int(task): (outputs[task], truth) for task, truth in truths.items()}


def classes_by_task(model: nn.Module, experience: object) -> dict[int, set[int]]:
    """Return an experience's classes by task; nothing where the model has a single head."""
    if not isinstance(model, MultiTaskModule):
        return {}
    return {int(task): classes_of(experience) for task in tasks_of(experience)}
