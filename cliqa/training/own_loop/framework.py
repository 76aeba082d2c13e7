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

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from cliqa.config.suggest import closest
from cliqa.models.wrappers import unwrapped
from cliqa.registry import PLUGINS, build_component
from cliqa.training.own_loop.packnet import PackNetStrategy
from cliqa.training.own_loop.replay import ReplayStrategy
from cliqa.training.own_loop.strategies import (
    ContinualLearningStrategy,
    Criterion,
    PluginStrategy,
    device_of,
    on_device,
)
from cliqa.training.state import copied_to
from cliqa.training.strategy import Batch
from cliqa.utils.errors import CheckpointError, ConfigError

PLUGIN_OF = {"ewc": "EWC", "l2": "L2", "lwf": "LwF", "mas": "MAS", "si": "SI"}
"""The plugin of each strategy that is one, as it is."""

BUILT_IN = (*PLUGIN_OF, "naive", "packnet", "replay")

OF_THE_LOOP = ("der", "lora")
"""Methods that know each sample's place in its data set, or change the model."""

WORDS = {("ewc", "ewc_lambda"): "strength"}
"""Other words for arguments."""


class ContinualLearningFramework:
    """A model that learns one task after another in your own training loop.

    If a config is enough, prefer ``cliqa train``: it evaluates, resumes and has more methods.

    Args:
        model: The model, whose forward gives a tensor (B,) or (B, K); it stays the caller's to
            train and to save. Of a model in ``nn.DataParallel``, ``DistributedDataParallel`` or
            ``torch.compile``, strategies use the wrapped model and its parameter names.
        strategy: ``"naive"``, ``"l2"``, ``"ewc"``, ``"mas"``, ``"si"``, ``"lwf"``, ``"replay"`` or
            ``"packnet"`` (`PackNetStrategy`), or an object of your own.
        criterion: The loss of a task, (outputs, targets) -> a scalar; None for the mean squared
            error of scores.
        seed: Seed of the strategy's random numbers.
        strategy_params: Arguments of the built-in strategy, as a dict; EWC's ``ewc_lambda`` is its
            ``strength``.
        arguments: The same, by keyword: those of `L2`, `EWC`, `MAS`, `SI`, `LwF`, `Replay`,
            `PackNet`.

    Raises:
        ConfigError: The strategy or an argument of it is unknown, or a value is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        strategy: str | ContinualLearningStrategy = "naive",
        criterion: Criterion | None = None,
        seed: int = 0,
        strategy_params: Mapping[str, Any] | None = None,
        **arguments: object,
    ) -> None:
        self.model = model
        self.criterion: Criterion = criterion or nn.MSELoss()
        self.strategy = _strategy(strategy, seed, {**(strategy_params or {}), **arguments})
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
        moved = on_device(batch, device_of(self.model))
        return self.strategy.compute_loss(self.model, moved, task, self.criterion)

    def after_backward(self) -> None:
        """Let the strategy read the gradients; needed only before they are clipped, by ``"si"``.

        Raises:
            ConfigError: No task has begun.
        """
        self.strategy.after_backward(self.model, self._running(None, "after_backward"))

    def after_task(self, task_id: int, dataloader: Iterable[Batch] | None = None) -> None:
        """End a task: the strategy keeps what it needs to protect the task.

        Args:
            task_id: The task that has begun.
            dataloader: Batches of its data: for strategies that measure them, best with
                evaluation transforms; for ``"replay"`` and ``"packnet"``, which train on them, with
                training ones.

        Raises:
            ConfigError: No task, or another one, has begun, or data are needed and missing.
        """
        task = self._running(task_id, "after_task")
        self.strategy.after_task(self.model, task, dataloader)
        self._task = None

    @contextmanager
    def view(self, task_id: int) -> Iterator[None]:
        """Show the model with the weights of a finished task, inside a ``with`` block.

        Raises:
            ConfigError: The strategy is not ``"packnet"``, or the task has not ended.
        """
        if not isinstance(self.strategy, PackNetStrategy):
            raise ConfigError(
                f"view: {self._name} has one set of weights for all tasks. Use the model as it is."
            )
        with self.strategy.view(self.model, task_id):
            yield

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
        if self._task is not None:
            self.strategy.resume(self.model, self._task)

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
            f"cl_strategy.type; in your own loop use one of {', '.join(sorted(BUILT_IN))}."
        )
    if name not in BUILT_IN:
        raise ConfigError(
            f"unknown strategy {strategy!r}.{closest(name, (*BUILT_IN, *OF_THE_LOOP))} Use "
            f"{', '.join(sorted(BUILT_IN))}, or an object of a subclass of "
            "ContinualLearningStrategy."
        )
    return _built_in(name, seed, {WORDS.get((name, key), key): arguments[key] for key in arguments})


def _built_in(name: str, seed: int, arguments: dict[str, Any]) -> ContinualLearningStrategy:
    """Return the strategy of a name."""
    if name == "naive":
        if arguments:
            raise ConfigError(f"strategy 'naive' takes no argument, got {', '.join(arguments)}.")
        return ContinualLearningStrategy()
    if name == "replay":
        return ReplayStrategy(arguments, seed)
    if name == "packnet":
        return PackNetStrategy(arguments, seed)
    section = {"type": PLUGIN_OF[name], **arguments}
    return PluginStrategy(build_component(PLUGINS, section, f"strategy '{name}'"), seed)
