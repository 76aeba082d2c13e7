"""Replay: a small memory of earlier samples is trained together with the new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import Tensor

from cliqa.models.arguments import check_integer
from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import MixedLoader
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Experience, Samples, Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

POLICIES = ("experience_balanced", "class_balanced", "reservoir")


class SampleMemory(ContinualPlugin, abstract=True):
    """A memory of samples: references into the stream's data sets, not copies.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the draw; None for the run's.

    Attributes:
        columns: The attributes with one value per stored sample, on the CPU.

    Raises:
        ConfigError: A size is not positive.
    """

    follows_pruning = True
    columns: ClassVar[tuple[str, ...]] = ("_experience", "_index")

    def __init__(self, mem_size: int, batch_size_mem: int | None, seed: int | None) -> None:
        super().__init__()
        own = 1 if batch_size_mem is None else batch_size_mem
        check_integer(type(self).__name__, 1, mem_size=mem_size, batch_size_mem=own)
        self.mem_size = mem_size
        self.batch_size_mem = batch_size_mem
        self.seed = seed
        self._experience = torch.zeros(0, dtype=torch.long)  # (M,) the experience of each sample
        self._index = torch.zeros(0, dtype=torch.long)  # (M,) its index in that experience
        self._stream: Sequence[Experience] | None = None

    def __len__(self) -> int:
        return len(self._index)

    def seed_of(self, strategy: Strategy) -> int:
        """Return the seed of the draw."""
        return strategy.options.seed if self.seed is None else self.seed

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy or to pickle: not the stream, which has the data."""
        return {**vars(self), "_stream": None}

    def check_stream(self, strategy: Strategy) -> None:
        """Refuse the experience of another stream than that of the samples in the memory.

        Raises:
            ConfigError: It is one.
        """
        stream = strategy.experience.origin_stream
        if len(self) and self._stream is not None and stream is not self._stream:
            raise ConfigError(
                f"{type(self).__name__}: the memory has samples of another stream, which this one "
                "cannot give. Train on experiences of one benchmark: make it of all data sets."
            )
        self._stream = stream

    def memory(self, stream: Sequence[Experience]) -> Samples:
        """Return the remembered samples as one data set over the stream's experiences."""
        return joined_samples(stream, self._experience, self._index)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a memory."""
        super().load_state_dict(state)
        for name in self.columns:
            setattr(self, name, getattr(self, name).cpu())


@PLUGINS.register_module()
class Replay(SampleMemory):
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

    columns = saved = (*SampleMemory.columns, "_class", "_key")

    def __init__(
        self,
        mem_size: int = 200,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(mem_size, batch_size_mem, seed)
        if policy not in POLICIES:
            raise ConfigError(
                "Replay: policy must be 'experience_balanced', 'class_balanced' or 'reservoir', "
                f"got {policy!r}."
            )
        self.policy = policy
        self._class = torch.zeros(0, dtype=torch.long)  # (M,) its class, -1 where it is not needed
        self._key = torch.zeros(0, dtype=torch.float64)  # (M,) its random key

    def __len__(self) -> int:
        return len(self._index)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Add the memory to the new batches; it is empty in the first experience.

        Raises:
            ConfigError: The policy balances classes, and there are none.
        """
        self.check_stream(strategy)
        if self.policy == "class_balanced" and not classes_of(strategy.experience):
            raise ConfigError(
                "Replay: policy='class_balanced' needs classes, and this stream has "
                "scores. Use 'experience_balanced' or 'reservoir'."
            )
        if strategy.arrived is None:
            self._mix_in(strategy)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Add the memory as it is now to a chunk's batches, where nobody tells boundaries."""
        if strategy.arrived is None:
            return
        while isinstance(strategy.dataloader, MixedLoader):
            strategy.dataloader = strategy.dataloader.new
        self._mix_in(strategy)

    def _mix_in(self, strategy: Strategy) -> None:
        """Add the memory to the new batches, unless it is empty."""
        if len(self):
            memory = self.memory(strategy.experience.origin_stream)
            strategy.mix_in(memory, self.batch_size_mem or strategy.train_mb_size)

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Offer a chunk's samples to the memory, where nobody tells boundaries."""
        if strategy.arrived is not None:
            count = len(strategy.experience.dataset)
            experience, seed = strategy.experience.current_experience, self.seed_of(strategy)
            self.add(experience, count, seed, samples=strategy.arrived)

    def needs_boundaries(self) -> str:
        """Return why an experience's end must be known: shares of experiences, or of classes."""
        if type(self) is not Replay:
            return super().needs_boundaries()
        needed = "it shares the memory equally (policy='reservoir' does not)"
        return "" if self.policy == "reservoir" else needed

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Offer the experience's samples to the memory."""
        if strategy.arrived is not None:
            return  # all of its chunks were
        experience, data = strategy.experience.current_experience, strategy.experience.dataset
        balanced = self.policy == "class_balanced"
        classes = torch.tensor([int(c) for c in data.targets]) if balanced else None
        self.add(experience, len(data), self.seed_of(strategy), classes)

    def add(
        self,
        experience: int,
        count: int,
        seed: int,
        classes: Tensor | None = None,
        samples: Sequence[int] | None = None,
    ) -> None:
        """Draw the memory from its samples and an experience's.

        Args:
            experience: The experience's index in the stream.
            count: Its number of samples.
            seed: Seed of the keys.
            classes: (N,), int64, if classes are balanced.
            samples: Indices of those that are offered now; None for all. A sample's key is the same
                in both cases, and so is the memory once all have been offered.
        """
        keys = torch.rand(
            count, generator=generator(seed, "replay", experience), dtype=torch.float64
        )
        index = torch.arange(count) if samples is None else torch.tensor(sorted(set(samples)))
        fresh = ~torch.isin(index, self._index[self._experience == experience])
        index = index[fresh] if samples is not None else index  # a further epoch over a chunk
        keys, count = keys[index], len(index)
        self._experience = torch.cat([self._experience, torch.full((count,), experience)])
        self._index = torch.cat([self._index, index])
        own = torch.full((count,), -1) if classes is None else classes
        self._class = torch.cat([self._class, own])
        self._key = torch.cat([self._key, keys])
        kept = self._chosen().sort().values
        for name in self.columns:
            setattr(self, name, getattr(self, name)[kept])

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
