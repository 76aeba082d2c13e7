"""Models of Avalanche's with a head for every task, as methods measure them and learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from avalanche.models import MultiTaskModule
from torch import Tensor, nn

from cliqa.training.loop.batching import RaggedImages
from cliqa.training.loop.stream_data import tasks_of
from cliqa.utils.errors import ConfigError


@contextmanager
def one_head(model: nn.Module, experience: object) -> Iterator[None]:
    """Let a model with several heads answer ``model(inputs)`` by the head of an experience's task.

    A model with a single head is left as it is.

    Raises:
        ConfigError: The model has several heads, and the experience has several tasks.
    """
    if not isinstance(model, MultiTaskModule):
        yield
        return
    tasks = list(tasks_of(experience))
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
    model: nn.Module, teacher: nn.Module, inputs: Tensor | RaggedImages
) -> dict[int, tuple[Tensor, Tensor]] | None:
    """Return the outputs of a model and of its teacher by task, (B, K) each.

    Returns:
        Those of all tasks that the teacher knows; None where the model has a single head.
    """
    if not isinstance(model, MultiTaskModule):
        return None
    with torch.no_grad():
        truths = teacher(inputs, None)
    outputs = model(inputs, None)
    return {int(task): (outputs[task], truth) for task, truth in truths.items()}
