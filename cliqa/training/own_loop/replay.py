"""Replay in your own training loop: a memory of the samples themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.registry import PLUGINS, build_component
from cliqa.training.own_loop.strategies import ContinualLearningStrategy, Criterion
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.strategy import Batch
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import derive_seed, generator


class SampleStore(Replay):
    """A memory of `Replay` that holds the samples, since a loop of one's own has no data sets.

    The arguments are those of `Replay`.
    """

    columns = saved = (*Replay.columns, "_input", "_target")

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(**arguments)
        self._input = torch.zeros(0)  # (M, ...)
        self._target = torch.zeros(0)  # (M,)

    def offer(self, inputs: Tensor, targets: Tensor, task: int, seed: int) -> None:
        """Draw the memory from its samples and a batch.

        Args:
            inputs: (B, ...).
            targets: (B,).
            task: The number of tasks before it.
            seed: Seed of the draw, of this batch alone.

        Raises:
            ConfigError: The shapes are not those of the stored samples, or classes are balanced
                and the targets are scores.
        """
        balanced = self.policy == "class_balanced"
        if balanced and targets.is_floating_point():
            raise ConfigError(
                "strategy 'replay': policy='class_balanced' needs classes, and the targets are "
                "scores. Use 'experience_balanced' or 'reservoir'."
            )
        new = inputs.detach().cpu(), targets.detach().cpu()
        self._input, self._target = (
            joined(old, own) if len(self) else own.clone()
            for old, own in zip((self._input, self._target), new, strict=True)
        )
        self.add(task, len(targets), seed, new[1] if balanced else None)

    def draw(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return inputs and targets of at most `count` samples, each once."""
        chosen = torch.randperm(len(self), generator=random)[:count]
        return self._input[chosen], self._target[chosen]


def joined(one: Tensor, other: Tensor) -> Tensor:
    """Return two batches as one.

    Raises:
        ConfigError: Their samples have different shapes.
    """
    if one.shape[1:] != other.shape[1:]:
        raise ConfigError(
            f"strategy 'replay': samples of shape {tuple(one.shape[1:])} and "
            f"{tuple(other.shape[1:])} make no batch. Resize or crop all images to one size."
        )
    return torch.cat([one, other])


class ReplayStrategy(ContinualLearningStrategy):
    """`Replay`: every batch is joined by one from a memory of earlier tasks' samples.

    Samples are stored as the dataloader of `after_task` gives them.

    Args:
        arguments: Those of `Replay`.
        seed: Seed of all draws.

    Raises:
        ConfigError: An argument is unknown or out of range.
    """

    def __init__(self, arguments: Mapping[str, Any], seed: int = 0) -> None:
        build_component(PLUGINS, {"type": "Replay", **arguments}, "strategy 'replay'")  # checks
        chosen = arguments.get("selection", "random")
        if chosen != "random":
            raise ConfigError(
                f"strategy 'replay': selection={chosen!r} looks at whole data sets, "
                "and a loop of one's own gives batches. Use selection='random'."
            )
        self.plugin = SampleStore(**arguments)
        self._seed = seed if self.plugin.seed is None else self.plugin.seed
        self._tasks = 0  # finished
        self._drawn = 0  # batches

    def compute_loss(
        self,
        model: nn.Module,
        batch: Batch,
        task_id: int,
        criterion: Criterion,
        **_: object,
    ) -> Tensor:
        """Return the criterion's loss of the batch and of as many stored samples, a scalar."""
        inputs, targets = batch[0], batch[1]
        if len(self.plugin):
            count = self.plugin.batch_size_mem or len(targets)
            random = generator(self._seed, "replayed", self._drawn)
            self._drawn += 1
            old = self.plugin.draw(count, random)
            inputs, targets = (
                joined(new, stored.to(new.device))
                for new, stored in zip((inputs, targets), old, strict=True)
            )
        return super().compute_loss(model, [inputs, targets], task_id, criterion)

    def after_task(
        self, model: nn.Module, task_id: int, dataloader: Iterable[Batch] | None = None
    ) -> None:
        """Offer the task's samples to the memory.

        Raises:
            ConfigError: There is no dataloader.
        """
        if dataloader is None:
            raise ConfigError(
                "strategy 'replay' stores samples of the finished task: call after_task(task_id, "
                "dataloader) with a DataLoader of them."
            )
        for index, batch in enumerate(dataloader):
            seed = derive_seed(self._seed, "offered", index)
            self.plugin.offer(batch[0], batch[1], self._tasks, seed)
        self._tasks += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the memory and the counters."""
        return {**self.plugin.state_dict(), "tasks": self._tasks, "drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self.plugin.load_state_dict(state)
        self._tasks, self._drawn = int(state["tasks"]), int(state["drawn"])
