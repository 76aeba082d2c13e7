"""The package's plugins in a training loop of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from cliqa.models.wrappers import unwrapped
from cliqa.training.loop.batching import model_output
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.own_loop.task_strategy import (
    ContinualLearningStrategy,
    Criterion,
    device_of,
    task_loss,
)
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import ConfigError

BATCH = 32
"""Samples a batch where a loader does not tell."""


class PluginStrategy(ContinualLearningStrategy):
    """One of the package's plugins outside Avalanche's loop.

    It suits plugins that ask for the loss of a batch and for a finished task's data, and for no
    step of the optimizer.

    Args:
        plugin: The method.
        seed: Seed of what it draws.
    """

    def __init__(self, plugin: ContinualPlugin, seed: int = 0) -> None:
        self.plugin = plugin
        self._seed = seed
        self._classes: set[int] = set()  # that have come by; none over scores

    def before_task(self, model: nn.Module, task_id: int) -> None:
        """Let the plugin prepare."""
        self.plugin.before_training_exp(_Loop(model, task_id, self._seed))

    def compute_loss(
        self,
        model: nn.Module,
        batch: Sequence[Any],
        task_id: int,
        criterion: Criterion,
        **_: Any,  # noqa: ANN401
    ) -> Tensor:
        """Return the criterion's loss with what the plugin adds, a scalar."""
        loop = _Loop(model, task_id, self._seed)
        loop.mbatch = batch
        loop.mb_output = loop.output_of(batch)
        if not batch[1].is_floating_point():
            self._classes.update(batch[1].tolist())
        loop.loss = task_loss(loop.mb_output, batch[1], criterion)
        if self.plugin.reads_classes and loop.mb_output.dim() > 1:
            _check_classes(batch[1], type(self.plugin).__name__)
        self.plugin.before_backward(loop)
        return loop.loss

    def after_task(self, model: nn.Module, task_id: int, dataloader: Any = None) -> None:  # noqa: ANN401
        """Let the plugin remember the task."""
        loop = _Loop(model, task_id, self._seed, dataloader)
        loop.experience = SimpleNamespace(classes_seen_so_far=sorted(self._classes))
        self.plugin.after_training_exp(loop)

    def state_dict(self) -> dict[str, Any]:
        """Return the plugin's state, and the classes that have come by."""
        seen = {"seen": sorted(self._classes)} if self._classes else {}
        return {**self.plugin.state_dict(), **seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self.plugin.load_state_dict(state)
        self._classes = set(state.get("seen", ()))


def _check_classes(targets: Tensor, name: str) -> None:
    """Refuse targets of several outputs a sample that are neither classes nor their probabilities.

    Raises:
        ConfigError: They are something else.
    """
    if not targets.is_floating_point():
        return
    sums = targets.sum(1)
    if bool((targets < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        raise ConfigError(
            f"the targets {tuple(targets.shape)} are no probabilities of classes, for which {name} "
            "takes several outputs a sample. Use strategy 'mas' or 'l2', or 'lwf' with "
            "distill='mse'."
        )


class _Loop:
    """As much of Avalanche's loop as plugins of that kind look at."""

    optimizer = None
    experience: Any = None
    mbatch: Sequence[Any]
    mb_output: Tensor
    loss: Tensor

    def __init__(
        self,
        model: nn.Module,
        task_id: int,
        seed: int,
        dataloader: Any = None,  # noqa: ANN401
    ) -> None:
        self.model = unwrapped(model)
        self._whole = model  # what the caller trains: it may be spread over devices, or compiled
        self.step_index = task_id
        self.options = TrainingOptions(seed=seed)
        self.device = device_of(model)
        self.is_training = True
        self._dataloader = dataloader

    def output_of(self, batch: Sequence[Any], model: nn.Module | None = None) -> Tensor:
        """Return the output of the model, or of another one, for a batch."""
        return model_output(self._whole if model is None else model, batch[0])

    @property
    def adapted_dataset(self) -> _Samples:
        """The task's data.

        Raises:
            ConfigError: There are none.
        """
        if self._dataloader is None:
            raise ConfigError(
                "this strategy measures the finished task's data: call "
                "after_task(task_id, dataloader) with a DataLoader of them."
            )
        return _Samples(self._dataloader)

    @property
    def train_mb_size(self) -> int:
        """The samples of a batch: as many as the user's loader gives."""
        return getattr(self._dataloader, "batch_size", None) or BATCH

    def loader(
        self, samples: _Samples, *, train: bool, batch_size: int | None = None
    ) -> Iterable[Any]:
        """Return the batches of samples, in the sizes of the user's loader."""
        return samples.batches


class _Samples:
    """A loader's samples, as plugins ask for them."""

    def __init__(self, batches: Any) -> None:  # noqa: ANN401
        self.batches = batches
        self._data = getattr(batches, "dataset", None)

    def eval(self) -> _Samples:
        """Return the same: a user's loader has the transforms that it has."""
        return self

    def __len__(self) -> int:
        """Return the number of samples; 0, which is never above a limit, where nobody knows."""
        return len(self._data) if isinstance(self._data, Sized) else 0

    def subset(self, indices: Sequence[int]) -> _Samples:
        """Return some of the samples in batches of the same size."""
        data: Any = Subset(self._data, indices)  # type: ignore[arg-type]
        size = getattr(self.batches, "batch_size", None) or BATCH
        collate = getattr(self.batches, "collate_fn", None)
        return _Samples(DataLoader(data, batch_size=size, collate_fn=collate))
