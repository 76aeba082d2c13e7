"""Continual-learning methods for your own training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from cliqa.models.wrappers import unwrapped
from cliqa.training.loop.batching import model_output
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.stream_data import drawn_samples
from cliqa.training.own_loop.steps import OptimizerSteps, needs_steps
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Batch
from cliqa.utils.errors import ConfigError

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Outputs (B,) or (B, K) and targets (B,) -> a scalar."""

BATCH = 32
"""The batch size where a dataloader has none."""


class ContinualLearningStrategy:
    """What a method does before, during and after every task; this one is plain fine-tuning.

    Your own method overrides what it changes. A method with a state overrides `state_dict` and
    `load_state_dict` too, or a run cannot be resumed.
    """

    def before_task(self, model: nn.Module, task_id: int) -> None:
        """Prepare for a task.

        Args:
            model: The model after the tasks so far.
            task_id: The task's number.
        """

    def compute_loss(
        self,
        model: nn.Module,
        batch: Batch,
        task_id: int,
        criterion: Criterion,
        **_: object,
    ) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            model: The model.
            batch: Inputs (B, ...) and targets (B,), on the model's device.
            task_id: The task's number.
            criterion: The loss of the task alone.
        """
        return task_loss(model_output(model, batch[0]), batch[1], criterion)

    def after_task(
        self, model: nn.Module, task_id: int, dataloader: Iterable[Batch] | None = None
    ) -> None:
        """Finish a task: keep what later tasks need.

        Args:
            model: The model after the task.
            task_id: The task's number.
            dataloader: Batches of the task's data.
        """

    def after_backward(self, model: nn.Module, task_id: int) -> None:
        """Read the gradients before they are clipped.

        Args:
            model: The model, after a loss's backward pass.
            task_id: The task's number.
        """

    def resume(self, model: nn.Module, task_id: int) -> None:
        """Go on with a task whose state was loaded.

        Args:
            model: The model.
            task_id: The task's number.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the state: tensors and plain types only."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` returned."""


def task_loss(outputs: Tensor, targets: Tensor, criterion: Criterion) -> Tensor:
    """Return the task's own loss.

    Raises:
        ConfigError: Scores and targets have different shapes, which torch would broadcast, or the
            scores have the shape (B, 1), which looks like the logits of a single class.
    """
    column = outputs.dim() == 2 and outputs.shape[1] == 1
    if targets.is_floating_point() and (column or outputs.shape != targets.shape):
        raise ConfigError(
            f"the model's outputs have the shape {tuple(outputs.shape)}, the targets "
            f"{tuple(targets.shape)}. A model of scores gives (B,): end its forward with [:, 0], "
            "and give the targets the same shape."
        )
    return criterion(outputs, targets)


def on_device(batch: Batch, device: torch.device) -> list[Any]:
    """Return a batch with everything that can be moved on a device."""
    return [part.to(device) if hasattr(part, "to") else part for part in batch]


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's first parameter; the CPU if it has none."""
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


class PluginStrategy(ContinualLearningStrategy):
    """One of the package's plugins in your own training loop.

    It works for plugins that use the loss of a batch, the gradients, the weights after a step, and
    the data of a finished task; see `OwnLoop`. Any optimizer over the model's weights is watched
    while a task is trained, if the plugin needs its steps.

    Args:
        plugin: The method.
        seed: Seed of its random numbers.
    """

    def __init__(self, plugin: ContinualPlugin, seed: int = 0) -> None:
        self.plugin = plugin
        self._seed = seed
        self._classes: set[int] = set()  # seen so far; empty for scores
        self._steps: OptimizerSteps | None = None
        self._read = False  # the gradients of the coming step have been read

    def loop(self, model: nn.Module, task_id: int, data: Iterable[Batch] | None = None) -> OwnLoop:
        """Return the loop as the plugin sees it."""
        return OwnLoop(model, task_id, self._seed, data, [self.plugin])

    def before_task(self, model: nn.Module, task_id: int) -> None:
        """Call the plugin's hook at the start of a task."""
        self.plugin.before_training_exp(self.loop(model, task_id))
        self._watch(model, task_id)

    def resume(self, model: nn.Module, task_id: int) -> None:
        """Go on with a task whose state was loaded."""
        self._watch(model, task_id)

    def _watch(self, model: nn.Module, task_id: int) -> None:
        """Watch the optimizer's steps, if the plugin needs them."""
        if not needs_steps(self.plugin):
            return

        def before() -> None:
            if not self._read:
                self.after_backward(model, task_id)

        def after() -> None:
            self.plugin.after_update(self.loop(model, task_id))
            self._read = False

        self.finish()
        self._steps = OptimizerSteps(model, before, after)

    def after_backward(self, model: nn.Module, task_id: int) -> None:
        """Let the plugin read the gradients."""
        self.plugin.after_backward(self.loop(model, task_id))
        self._read = True

    def finish(self) -> None:
        """Stop watching steps."""
        if self._steps is not None:
            self._steps.end()
        self._steps, self._read = None, False

    def compute_loss(
        self,
        model: nn.Module,
        batch: Batch,
        task_id: int,
        criterion: Criterion,
        **_: object,
    ) -> Tensor:
        """Return the criterion's loss with what the plugin adds, a scalar."""
        loop = self.loop(model, task_id)
        loop.mbatch = batch
        loop.mb_output = loop.output_of(batch)
        if not batch[1].is_floating_point():
            self._classes.update(batch[1].tolist())
        loop.loss = task_loss(loop.mb_output, batch[1], criterion)
        if self.plugin.reads_classes and loop.mb_output.dim() > 1:
            _check_classes(batch[1], type(self.plugin).__name__)
        self.plugin.before_backward(loop)
        return loop.loss

    def after_task(
        self, model: nn.Module, task_id: int, dataloader: Iterable[Batch] | None = None
    ) -> None:
        """Call the plugin's hook at the end of a task."""
        loop = self.loop(model, task_id, dataloader)
        loop.experience = SimpleNamespace(classes_seen_so_far=sorted(self._classes))
        self.plugin.after_training_exp(loop)
        self.finish()

    def state_dict(self) -> dict[str, Any]:
        """Return the plugin's state, and the classes seen so far."""
        seen = {"seen": sorted(self._classes)} if self._classes else {}
        return {**self.plugin.state_dict(), **seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self.plugin.load_state_dict(state)
        self._classes = set(state.get("seen", ()))


def _check_classes(targets: Tensor, name: str) -> None:
    """Refuse targets that are neither classes nor probabilities of classes."""
    if not targets.is_floating_point():
        return
    sums = targets.sum(1)
    if bool((targets < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ConfigError(
            f"the targets {tuple(targets.shape)} are not class probabilities, but {name} "
            "treats several outputs per sample as the logits of classes. Use strategy 'mas' "
            "or 'l2', or 'lwf' with distill='mse'."
        )


class OwnLoop:
    """The members of `Strategy` that the plugins of `PluginStrategy` use.

    Args:
        model: The model that the caller trains; it may be wrapped or compiled.
        task_id: The task's number.
        seed: Seed of what a plugin draws.
        dataloader: Batches of the task's data, if the caller gave some.
        plugins: The method.
    """

    optimizer: Any = None
    experience: Any = None
    mbatch: Batch
    mb_output: Tensor
    loss: Tensor

    def __init__(
        self,
        model: nn.Module,
        task_id: int,
        seed: int,
        dataloader: Iterable[Batch] | None = None,
        plugins: Sequence[ContinualPlugin] = (),
    ) -> None:
        self.model = unwrapped(model)
        self.plugins = plugins
        self._whole = model
        self.step_index = task_id
        self.options = TrainingOptions(seed=seed)
        self.device = device_of(model)
        self._dataloader = dataloader

    def output_of(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """Return the output of the model, or of another one, for a batch."""
        return model_output(self._whole if model is None else model, batch[0])

    def training_samples(self, count: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of the task's data, as the caller's dataloader transforms them.

        Args:
            count: Number of samples, if the dataloader knows its data set; 0 for all.

        Raises:
            ConfigError: The caller gave no dataloader.
        """
        batches = self._dataloader
        if batches is None:
            raise ConfigError(
                "this strategy measures the finished task's data: call "
                "after_task(task_id, dataloader) with a DataLoader of them."
            )
        data: Any = getattr(batches, "dataset", None)
        if isinstance(data, Sized) and 0 < count < len(data):
            drawn = drawn_samples(len(data), count, self.options.seed, self.step_index)
            some: Any = Subset(data, drawn)  # type: ignore[arg-type]
            size = getattr(batches, "batch_size", None) or BATCH
            collate = getattr(batches, "collate_fn", None)
            batches = DataLoader(some, batch_size=size, collate_fn=collate)
        for batch in batches:
            yield batch[0].to(self.device), batch[1].to(self.device)
