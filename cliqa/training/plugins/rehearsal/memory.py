"""A memory of samples: which are kept, and how they are read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import Tensor, nn

from cliqa.models.arguments import check_choice, check_integer
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.rehearsal.selection import (
    OF_FEATURES,
    SELECTIONS,
    check_features,
    measured_values,
    selected_keys,
)
from cliqa.training.strategy import Experience, Samples, Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

POLICIES = ("experience_balanced", "class_balanced", "reservoir")


class SampleMemory(ContinualPlugin, abstract=True):
    """A memory of samples: references into the stream's data sets, not copies.

    Every sample of the stream gets a key when its experience ends, and the memory keeps the
    samples with the smallest keys. Random keys are a uniform draw without replacement for
    any stream length (reservoir sampling, Vitter, 1985); other selections order each experience's
    (or class's) samples by what the model says of them then. The files of earlier data sets must
    stay readable.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        policy: Who shares it. ``"experience_balanced"``: equally many from each experience;
            ``"class_balanced"``: equally many from each class, over all experiences;
            ``"reservoir"``: uniform over all samples, so that a large data set takes a large share.
            Slots that a small experience or class cannot fill go to the others.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the draw; None for the run's.
        selection: Which samples of an experience (or class) come first. ``"random"``;
            ``"herding"``: their mean feature is that of all (Rebuffi et al., 2017);
            ``"coverage"``: each is the farthest from those before it, by features (Sener &
            Savarese, 2018); ``"loss"``: the largest squared error or cross-entropy;
            ``"uncertainty"``: the largest disagreement over 8 augmented views, of scores their
            standard deviation, of classes the entropy of the mean probabilities; ``"rainbow"``:
            spread evenly over that uncertainty (Bang et al., CVPR 2021, who count votes);
            ``"score_balanced"``: spread evenly over the quantiles of the scores.

    Attributes:
        columns: The attributes with one value per stored sample, on the CPU.

    Raises:
        ConfigError: A size is not positive, a name is unknown, classes are balanced where there are
            none, or scores where there are classes.
        ModelError: A selection needs features, and the model has none.
    """

    follows_pruning = True
    columns: ClassVar[tuple[str, ...]] = ("_experience", "_index", "_class", "_key")

    def __init__(
        self,
        mem_size: int,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
        selection: str = "random",
    ) -> None:
        super().__init__()
        own = 1 if batch_size_mem is None else batch_size_mem
        check_integer(type(self).__name__, 1, mem_size=mem_size, batch_size_mem=own)
        if policy not in POLICIES:
            raise ConfigError(
                f"{type(self).__name__}: policy must be 'experience_balanced', 'class_balanced' or "
                f"'reservoir', got {policy!r}."
            )
        check_choice(type(self).__name__, SELECTIONS, selection=selection)
        self.mem_size = mem_size
        self.policy = policy
        self.batch_size_mem = batch_size_mem
        self.seed = seed
        self.selection = selection
        asks = selection not in ("random", "score_balanced")  # the model, about its samples
        self.reads_outputs = asks or type(self).reads_outputs
        self._experience = torch.zeros(0, dtype=torch.long)  # (M,) the experience of each sample
        self._index = torch.zeros(0, dtype=torch.long)  # (M,) its index in that experience
        self._class = torch.zeros(0, dtype=torch.long)  # (M,) its class, -1 where it is not needed
        self._key = torch.zeros(0, dtype=torch.float64)  # (M,) its key, 0..1
        self._added: list[int] = []  # experiences that were offered before their training
        self._stream: Sequence[Experience] | None = None

    def __len__(self) -> int:
        return len(self._index)

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model without the features that the selection needs."""
        if self.selection in OF_FEATURES:
            why = (
                f"selection='{self.selection}' needs them: use QualityModel or ImageClassifier, or "
                "selection='random'."
            )
            check_features(type(self).__name__, model, why)

    def seed_of(self, strategy: Strategy) -> int:
        """Return the seed of the draw."""
        return strategy.options.seed if self.seed is None else self.seed

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy or to pickle: not the stream, which has the data."""
        return {**vars(self), "_stream": None}

    def check_labels(self, strategy: Strategy) -> None:
        """Refuse labels that cannot be balanced.

        Raises:
            ConfigError: The policy or the selection does not fit the labels.
        """
        name, classes = type(self).__name__, bool(classes_of(strategy.experience))
        if self.policy == "class_balanced" and not classes:
            raise ConfigError(
                f"{name}: policy='class_balanced' needs classes, and this stream has "
                "scores. Use 'experience_balanced' or 'reservoir'."
            )
        if self.selection == "score_balanced" and classes:
            raise ConfigError(
                f"{name}: selection='score_balanced' needs scores, and this stream has classes. "
                "Use policy='class_balanced' and selection='random'."
            )

    def check_stream(self, strategy: Strategy) -> None:
        """Refuse labels that cannot be balanced, and another stream than that of the memory.

        Raises:
            ConfigError: The policy or the selection does not fit the labels, or the memory has
                samples of another stream.
        """
        self.check_labels(strategy)
        stream = strategy.experience.origin_stream
        if len(self) and self._stream is not None and stream is not self._stream:
            raise ConfigError(
                f"{type(self).__name__}: the memory has samples of another stream, which this one "
                "cannot give. Train on experiences of one benchmark: make it of all data sets."
            )
        self._stream = stream

    def check_single(self, strategy: Strategy) -> None:
        """Refuse a strategy that trains on several experiences at once.

        Raises:
            ConfigError: It does.
        """
        if len(strategy.adapted_dataset) != len(strategy.experience.dataset):
            own, name = type(self).__name__, getattr(strategy, "name", type(strategy).__name__)
            raise ConfigError(
                f"{own}: {name} trains on several experiences at once, and the memory is of "
                f"earlier ones. Use cl_strategy.type='{own}' (in a script Naive), or drop the "
                "plugin."
            )

    def memory(self, stream: Sequence[Experience]) -> Samples:
        """Return the remembered samples as one data set over the stream's experiences."""
        return joined_samples(stream, self._experience, self._index)

    def batches(self, strategy: Strategy, size: int | None = None) -> Iterator[list[Any]]:
        """Yield a batch of the memory for every batch of new samples; none of an empty one.

        Call it in `before_training_epoch`: the order repeats from the epoch's seed.

        Args:
            strategy: The strategy.
            size: Samples of a batch; None for `batch_size_mem`.
        """
        if len(self):
            own = size or self.batch_size_mem or strategy.train_mb_size
            samples = own * len(strategy.dataloader)
            memory = self.memory(strategy.experience.origin_stream)
            yield from strategy.loader(memory, train=True, batch_size=own, samples=samples)

    def remember(self, strategy: Strategy) -> Tensor:
        """Offer the experience's samples to the memory, after its training.

        Returns:
            (M,), int64: the kept ones among the memory's samples and then the experience's.
        """
        experience, data = strategy.experience.current_experience, strategy.experience.dataset
        balanced = self.policy == "class_balanced"
        classes = torch.tensor([int(c) for c in data.targets]) if balanced else None
        chosen = self.selection != "random"
        values = measured_values(strategy, self.selection) if chosen else None
        return self.add(experience, len(data), self.seed_of(strategy), classes, values)

    def remember_first(self, strategy: Strategy) -> None:
        """Offer the experience's samples before its training; once, if a run is resumed in it.

        The method's `saved` must have ``"_added"``.
        """
        experience = strategy.experience.current_experience
        if experience not in self._added:
            self.remember(strategy)
            self._added = [*self._added, experience]

    def add(
        self,
        experience: int,
        count: int,
        seed: int,
        classes: Tensor | None = None,
        values: Tensor | None = None,
        samples: Sequence[int] | None = None,
    ) -> Tensor:
        """Draw the memory from its samples and an experience's.

        Args:
            experience: The experience's index in the stream.
            count: Its number of samples.
            seed: Seed of the keys.
            classes: (N,), int64, if classes are balanced.
            values: (N,) or (N, D), what the selection orders the samples by.
            samples: Indices of those that are offered now; None for all. A sample's random key is
                the same in both cases, and so is the memory once all have been offered.

        Returns:
            (M,), int64: the kept ones among the memory's samples and then the experience's.
        """
        keys = torch.rand(
            count, generator=generator(seed, "replay", experience), dtype=torch.float64
        )
        own = torch.full((count,), -1) if classes is None else classes
        if values is not None:
            keys = selected_keys(self.selection, keys, own, values, self.mem_size)
        index = torch.arange(count)
        if samples is not None:
            index = torch.tensor(sorted(set(samples)))
            known = self._index[self._experience == experience]  # in a further epoch over a chunk
            index = index[~torch.isin(index, known)]
            keys, own, count = keys[index], own[index], len(index)
        self._experience = torch.cat([self._experience, torch.full((count,), experience)])
        self._index = torch.cat([self._index, index])
        self._class = torch.cat([self._class, own])
        self._key = torch.cat([self._key, keys])
        kept = self._chosen().sort().values
        for name in self.columns:
            setattr(self, name, getattr(self, name)[kept])
        return kept

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

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a memory."""
        super().load_state_dict(state)
        for name in self.columns:
            setattr(self, name, getattr(self, name).cpu())


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
