"""Replay: a small memory of earlier samples is trained together with the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import Tensor

from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Experience, Samples, Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

POLICIES = ("experience_balanced", "class_balanced", "reservoir")


@PLUGINS.register_module()
class Replay(ContinualPlugin):
    """Append a batch from a memory to every batch of new samples (Chaudhry et al., 2019).

    Every sample of the stream gets a random key when its experience ends; the memory keeps the
    samples with the smallest keys, which is a uniform draw without replacement for any
    stream length (reservoir sampling, Vitter, 1985). The memory holds references into the data
    sets, not copies: the files of earlier data sets must stay readable.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        policy: ``"experience_balanced"``: equally many from each experience; ``"class_balanced"``:
            equally many from each class, over all experiences; ``"reservoir"``: uniform over all
            samples, so that a large data set takes a large share. Slots that a small experience or
            class cannot fill go to the others.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the draw; None for the run's.

    Raises:
        ConfigError: A size is not positive, or the policy is unknown or balances classes where
            there are none.
    """

    follows_pruning = True

    def __init__(
        self,
        mem_size: int = 200,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("mem_size", mem_size), ("batch_size_mem", batch_size_mem)):
            if size is not None and (not isinstance(size, int) or size < 1):
                raise ConfigError(f"Replay: {name} must be a positive integer, got {size!r}.")
        if policy not in POLICIES:
            raise ConfigError(
                "Replay: policy must be 'experience_balanced', 'class_balanced' or 'reservoir', "
                f"got {policy!r}."
            )
        self.mem_size = mem_size
        self.policy = policy
        self.batch_size_mem = batch_size_mem
        self.seed = seed
        self._experience = torch.zeros(0, dtype=torch.long)  # (M,) the experience of each sample
        self._index = torch.zeros(0, dtype=torch.long)  # (M,) its index in that experience
        self._class = torch.zeros(0, dtype=torch.long)  # (M,) its class, -1 where it is not needed
        self._key = torch.zeros(0, dtype=torch.float64)  # (M,) its random key

    def __len__(self) -> int:
        return len(self._index)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Add the memory to the new batches; it is empty in the first experience.

        Raises:
            ConfigError: The policy balances classes, and there are none.
        """
        if self.policy == "class_balanced" and not _has_classes(strategy.experience):
            raise ConfigError(
                "Replay: policy='class_balanced' needs classes, and this stream has "
                "scores. Use 'experience_balanced' or 'reservoir'."
            )
        if len(self):
            memory = self.memory(strategy.experience.origin_stream)
            strategy.mix_in(memory, self.batch_size_mem or strategy.train_mb_size)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Offer the experience's samples to the memory."""
        seed = strategy.options.seed if self.seed is None else self.seed
        experience, data = strategy.experience.current_experience, strategy.experience.dataset
        balanced = self.policy == "class_balanced"
        classes = torch.tensor([int(c) for c in data.targets]) if balanced else None
        self.add(experience, len(data), seed, classes)

    def add(self, experience: int, count: int, seed: int, classes: Tensor | None = None) -> None:
        """Draw the memory from its samples and an experience's.

        Args:
            experience: The experience's index in the stream.
            count: Its number of samples.
            seed: Seed of the keys.
            classes: (N,), int64, if classes are balanced.
        """
        keys = torch.rand(
            count, generator=generator(seed, "replay", experience), dtype=torch.float64
        )
        self._experience = torch.cat([self._experience, torch.full((count,), experience)])
        self._index = torch.cat([self._index, torch.arange(count)])
        own = torch.full((count,), -1) if classes is None else classes
        self._class = torch.cat([self._class, own])
        self._key = torch.cat([self._key, keys])
        self._keep(self._chosen().sort().values)

    def _keep(self, places: Tensor) -> None:
        """Keep the samples at these indices."""
        self._experience = self._experience[places]
        self._index = self._index[places]
        self._class = self._class[places]
        self._key = self._key[places]

    def _chosen(self) -> Tensor:
        """Return the indices of the samples to keep."""
        order = self._key.argsort()
        if self.policy == "reservoir":
            return order[: self.mem_size]
        group = self._class if self.policy == "class_balanced" else self._experience
        rank = torch.empty_like(order)  # a sample's rank in its group, by key
        for each in group.unique():
            own = order[group[order] == each]
            rank[own] = torch.arange(len(own))
        # the first of every group, then the second of every group ...: equal shares; slots that a
        # small group cannot fill go to the others
        turns = (rank * (int(group.max()) + 1) + group).argsort()
        return turns[: self.mem_size]

    def memory(self, stream: Sequence[Experience]) -> Samples:
        """Return the remembered samples as one data set over the stream's experiences."""
        return joined_samples(stream, self._experience, self._index)

    def state_dict(self) -> dict[str, Any]:
        """Return the stored samples and their keys."""
        return {
            "experience": self._experience,
            "index": self._index,
            "class": self._class,
            "key": self._key,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a memory."""
        self._experience = state["experience"].cpu()
        self._index = state["index"].cpu()
        self._class = state["class"].cpu()
        self._key = state["key"].cpu()


def _has_classes(experience: Experience) -> bool:
    """Return whether an experience's samples are labelled with classes."""
    return hasattr(experience, "classes_in_this_experience")


def joined_samples(stream: Sequence[Experience], experience: Tensor, index: Tensor) -> Samples:
    """Return samples of several experiences as one data set, for training.

    Args:
        stream: The stream's experiences.
        experience: (M,), int64, the experience of each sample.
        index: (M,), int64, its index in that experience's data set.

    Returns:
        M samples with the training transform, by experience and within one in the order given.
    """
    parts = [
        stream[int(k)].dataset.subset(index[experience == k].tolist()) for k in experience.unique()
    ]
    return concat_datasets(parts).train()
