"""Continual learning in your own training loop: four calls around it.

Example::

    framework = ContinualLearningFramework(model, strategy="ewc", strength=100)
    for task_id, loader in enumerate(loaders):
        framework.before_task(task_id)
        for batch in loader:
            optimizer.zero_grad()
            framework.compute_loss(batch).backward()
            optimizer.step()
        framework.after_task(task_id, loader)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from cliqa.config.suggest import closest
from cliqa.models.wrappers import unwrapped
from cliqa.registry import PLUGINS, build_component
from cliqa.training.own_loop.strategies import (
    ContinualLearningStrategy,
    Criterion,
    PluginStrategy,
    device_of,
)
from cliqa.training.state import copied_to
from cliqa.training.strategy import Batch
from cliqa.utils.errors import CheckpointError, ConfigError

BUILT_IN = {"ewc": "EWC", "l2": "L2", "lwf": "LwF", "mas": "MAS", "naive": None}
"""The plugin of each strategy; they need only the loss of a batch and the data of a task."""

OF_THE_LOOP = ("der", "lora", "packnet", "replay", "si")
"""Methods that also change the batches, the weights or the optimizer's steps."""


class ContinualLearningFramework:
    """A model that learns one task after another in your own training loop.

    If a config is enough, prefer ``train_config.py``: it evaluates, resumes and has more methods.

    Args:
        model: The model, whose forward gives a tensor (B,) or (B, K); it stays the caller's to
            train and to save. Of a model in ``nn.DataParallel``, ``DistributedDataParallel`` or
            ``torch.compile``, strategies use the wrapped model and its parameter names.
        strategy: ``"naive"``, ``"l2"``, ``"ewc"``, ``"mas"`` or ``"lwf"``, or an object of your
            own.
        criterion: The loss of a task, (outputs, targets) -> a scalar; None for the mean squared
            error of scores.
        seed: Seed of the strategy's random numbers.
        strategy_params: Arguments of the built-in strategy's plugin: `L2`, `EWC`, `MAS`, `LwF`.

    Raises:
        ConfigError: The strategy or an argument of it is unknown, or a value is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        strategy: str | ContinualLearningStrategy = "naive",
        criterion: Criterion | None = None,
        seed: int = 0,
        **strategy_params: object,
    ) -> None:
        self.model = model
        self.criterion: Criterion = criterion or nn.MSELoss()
        self.strategy = _strategy(strategy, seed, strategy_params)
        self._task: int | None = None

    def before_task(self, task_id: int) -> None:
        """Begin a task.

        Args:
            task_id: Its number.

        Raises:
            ConfigError: The task before it has not ended.
        """
        if self._task is not None:
            raise ConfigError(
                f"before_task({task_id}): task {self._task} has not ended. Call "
                f"after_task({self._task}, dataloader) first."
            )
        self.strategy.before_task(self.model, task_id)
        self._task = task_id

    def compute_loss(self, batch: Batch, task_id: int | None = None) -> Tensor:
        """Return the loss of a batch with what the strategy adds, a scalar.

        Args:
            batch: Inputs (B, ...) and targets (B,); further items are passed to the strategy.
            task_id: The task that has begun; optional.

        Raises:
            ConfigError: No task, or another one, has begun, or the batch has no targets.
        """
        task = self._running(task_id, "compute_loss")
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ConfigError(
                f"compute_loss: expected a batch (inputs, targets), got {type(batch).__name__}."
            )
        device = device_of(self.model)
        moved = [part.to(device) if hasattr(part, "to") else part for part in batch]
        return self.strategy.compute_loss(self.model, moved, task, self.criterion)

    def after_task(self, task_id: int, dataloader: Iterable[Batch] | None = None) -> None:
        """End a task: the strategy keeps what it needs to protect the task.

        Args:
            task_id: The task that has begun.
            dataloader: Batches of its data, for strategies that measure them, best with
                evaluation transforms.

        Raises:
            ConfigError: No task, or another one, has begun, or data are needed and missing.
        """
        task = self._running(task_id, "after_task")
        self.strategy.after_task(self.model, task, dataloader)
        self._task = None

    def state_dict(self) -> dict[str, Any]:
        """Return the strategy's state and the task that has begun, without the model's weights."""
        return {
            "name": self._name,
            "task": self._task,
            "strategy": self.strategy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` returned; a task that had begun continues.

        Raises:
            CheckpointError: It belongs to another strategy or another model.
        """
        if state["name"] != self._name:
            raise CheckpointError(
                f"the state is that of {state['name']}, and this strategy is {self._name}. "
                "Create the framework with the strategy that was saved."
            )
        self._check_names(state["strategy"])
        self.strategy.load_state_dict(copied_to(state["strategy"], device_of(self.model)))
        self._task = state["task"]

    @property
    def _name(self) -> str:
        """The strategy's or its plugin's class."""
        return type(getattr(self.strategy, "plugin", self.strategy)).__name__

    def _check_names(self, state: object) -> None:
        """Refuse a plugin's state that names no tensor of this model and so protects nothing."""
        known = _weights(state)
        model = unwrapped(self.model)
        own = model.state_dict()
        if isinstance(self.strategy, PluginStrategy) and known and not known & set(own):
            raise CheckpointError(
                f"the state belongs to another model: it has '{min(known)}', and this "
                f"{type(model).__name__} has '{next(iter(own), '')}'. Create the framework with "
                "the model that was trained."
            )

    def _running(self, task_id: int | None, where: str) -> int:
        """Return the task that has begun."""
        if self._task is None:
            raise ConfigError(f"{where}: no task has begun. Call before_task(task_id) first.")
        if task_id is not None and task_id != self._task:
            raise ConfigError(f"{where}: task {task_id} is given, but task {self._task} has begun.")
        return self._task


def _weights(state: object) -> set[str]:
    """Return the names of the tensors in a state of dicts and lists, however deep."""
    if isinstance(state, Mapping):
        own = {str(name) for name, value in state.items() if isinstance(value, Tensor)}
        return own.union(*map(_weights, state.values()))
    if isinstance(state, (list, tuple)):
        return set().union(*map(_weights, state))
    return set()


def _strategy(
    strategy: str | ContinualLearningStrategy, seed: int, arguments: dict[str, Any]
) -> ContinualLearningStrategy:
    """Return the strategy object for a name, or the object itself."""
    if isinstance(strategy, ContinualLearningStrategy):
        if arguments:
            raise ConfigError(
                f"{type(strategy).__name__}: {', '.join(arguments)} cannot be set for a strategy "
                "object. Pass them to its constructor."
            )
        return strategy
    name = strategy.lower() if isinstance(strategy, str) else ""
    if name in OF_THE_LOOP:
        raise ConfigError(
            f"strategy '{strategy}' changes the training loop itself. Train a config with "
            f"cl_strategy.type; in your own loop use one of {', '.join(BUILT_IN)}."
        )
    if name not in BUILT_IN:
        raise ConfigError(
            f"unknown strategy {strategy!r}.{closest(name, (*BUILT_IN, *OF_THE_LOOP))} Use "
            f"{', '.join(BUILT_IN)}, or an object of a subclass of ContinualLearningStrategy."
        )
    plugin = BUILT_IN[name]
    if plugin is None:
        if arguments:
            raise ConfigError(f"strategy 'naive' takes no argument, got {', '.join(arguments)}.")
        return ContinualLearningStrategy()
    section = {"type": plugin, **arguments}
    return PluginStrategy(build_component(PLUGINS, section, f"strategy '{name}'"), seed)
