"""PackNet in your own training loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from cliqa.models.freezing import set_training
from cliqa.models.wrappers import unwrapped
from cliqa.registry import PLUGINS, build_component
from cliqa.training.own_loop.strategies import (
    Criterion,
    PluginStrategy,
    device_of,
    on_device,
)
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.strategy import Batch
from cliqa.training.views.views import copied_tensors, restore_tensors
from cliqa.utils.errors import ConfigError

PRUNE = 0.2
"""Share of the free weights that stays free after a task, unless another one is given."""

OF_EVALUATIONS = ("centroids", "gate", "inference", "temperature")


class PackNetStrategy(PluginStrategy):
    """`PackNet`: a task's end prunes the weights that it trained, and retrains the kept ones.

    The retraining takes `post_epochs` passes over the data that `after_task` gets, with the loop's
    own optimizer at its current learning rate.

    Args:
        arguments: Those of `PackNet`; `prune` is a share, or one for each task, and by default 0.2;
            `post_epochs` is by default 1; `heads` is by default the model's part ``head``, if any.
        seed: Seed of its random numbers.

    Raises:
        ConfigError: An argument is unknown, or there is no use for it in one's own loop.
    """

    plugin: PackNet

    def __init__(self, arguments: Mapping[str, Any], seed: int = 0) -> None:
        given = {"prune": PRUNE, "post_epochs": 1, **arguments}
        for name in OF_EVALUATIONS:
            if name in given:
                raise ConfigError(
                    f"strategy 'packnet': {name} chooses weights in an evaluation of this "
                    "package's loop. In your own, evaluate a task in framework.view(task_id)."
                )
        for name in ("prune", "post_epochs"):
            if given[name] is None:
                raise ConfigError(
                    f"strategy 'packnet': {name}=None follows from the number of tasks or epochs, "
                    "which your own loop does not tell. Give a number."
                )
        super().__init__(
            build_component(PLUGINS, {"type": "PackNet", **given}, "strategy 'packnet'"), seed
        )
        self._heads_given = "heads" in arguments
        self._criterion: Criterion | None = None
        self._tasks: list[int] = []  # the finished ones, in their order

    def loop(self, model: nn.Module, task_id: int, data: Iterable[Batch] | None = None) -> Any:  # noqa: ANN401
        """Return the loop: as long as the shares that were given, or with one more task to come."""
        loop: Any = super().loop(model, task_id, data)
        prune = self.plugin.prune
        count = len(prune) if isinstance(prune, Sequence) else self.plugin.learnt + 2
        loop.experience = SimpleNamespace(origin_stream=range(count))
        loop.train_epochs, loop.epochs_done = (self.plugin.post_epochs or 0) + 1, 0
        return loop

    def before_task(self, model: nn.Module, task_id: int) -> None:
        """Hold the weights of the tasks so far.

        Raises:
            CliqaError: No weight is free for another task, or no share was given for it.
        """
        prune = self.plugin.prune
        if isinstance(prune, Sequence) and self.plugin.learnt >= len(prune):
            raise ConfigError(
                f"strategy 'packnet': prune has {len(prune)} shares, and this is task number "
                f"{self.plugin.learnt + 1}. Give one per task."
            )
        if not self._heads_given and not hasattr(unwrapped(model), "head"):
            self.plugin.heads = ()
        super().before_task(model, task_id)

    def resume(self, model: nn.Module, task_id: int) -> None:
        """Hold the weights of the tasks so far again."""
        self.plugin.before_training_exp(self.loop(model, task_id))
        super().resume(model, task_id)

    def compute_loss(
        self,
        model: nn.Module,
        batch: Batch,
        task_id: int,
        criterion: Criterion,
        **_: object,
    ) -> Tensor:
        """Return the criterion's loss, with the earlier tasks' normalisation layers fixed."""
        self._criterion = criterion
        self.plugin.before_training_epoch(self.loop(model, task_id))
        return super().compute_loss(model, batch, task_id, criterion)

    def after_task(
        self, model: nn.Module, task_id: int, dataloader: Iterable[Batch] | None = None
    ) -> None:
        """Prune, retrain the kept weights, and store the task's view.

        Raises:
            ConfigError: No step of an optimizer was seen, or there are no data to retrain with.
        """
        loop = self.loop(model, task_id, dataloader)
        loop.optimizer = self._optimizer(dataloader)
        self.plugin.after_training_epoch(loop)  # prunes
        before = model.training
        set_training(model, True)
        for _ in range(self.plugin.post_epochs or 0):
            for batch in dataloader or ():
                loop.optimizer.zero_grad()
                moved = on_device(batch, device_of(model))
                loss = self.compute_loss(model, moved, task_id, self._criterion)  # type: ignore[arg-type]
                loss.backward()
                loop.optimizer.step()
        set_training(model, before)
        self.plugin.after_training_exp(loop)
        self._tasks.append(task_id)
        self.finish()

    def _optimizer(self, dataloader: Iterable[Batch] | None) -> Optimizer:
        """Return the loop's own optimizer."""
        seen = None if self._steps is None else self._steps.optimizer
        if seen is None or self._criterion is None:
            raise ConfigError(
                "strategy 'packnet': the task ends before a step of an optimizer over the model's "
                "weights was seen. Train it between before_task and after_task."
            )
        if dataloader is None and self.plugin.post_epochs:
            raise ConfigError(
                "strategy 'packnet' retrains the weights that it keeps: call after_task(task_id, "
                "dataloader) with the task's training data, or set post_epochs=0."
            )
        return seen

    @contextmanager
    def view(self, model: nn.Module, task_id: int) -> Iterator[None]:
        """Show the model as it was after a task.

        Raises:
            ConfigError: The task has not ended.
        """
        if task_id not in self._tasks:
            known = ", ".join(map(str, self._tasks)) or "none"
            raise ConfigError(f"view: task {task_id} has not ended; finished tasks: {known}.")
        inner = unwrapped(model)
        held = copied_tensors(inner)
        self.plugin.show(inner, self._tasks.index(task_id))
        try:
            yield
        finally:
            restore_tensors(inner, held)

    def state_dict(self) -> dict[str, Any]:
        """Return the plugin's state, and the finished tasks."""
        return {**super().state_dict(), "tasks": self._tasks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self._tasks = list(state["tasks"])
        super().load_state_dict(state)
