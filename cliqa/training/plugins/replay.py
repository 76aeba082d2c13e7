"""Replay: a small memory of earlier samples is trained along with the new ones."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import Tensor

from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator


@PLUGINS.register_module()
class Replay(ContinualPlugin):
    """Follow every batch of new samples by a batch from a memory (Chaudhry et al., 2019).

    Every sample of the stream gets a random key when its experience ends; the memory keeps the
    samples with the smallest keys, which is a uniform draw without replacement whatever the
    stream's length (reservoir sampling, Vitter, 1985). The memory holds references into the data
    sets, not copies: nothing is stored twice, but the earlier files must stay readable.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        policy: ``"experience_balanced"``: as many from each experience; ``"reservoir"``: uniform
            over all samples, so that a large data set takes a large share.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the draw; None for the run's.

    Raises:
        ConfigError: A size is not positive, or the policy is unknown.
    """

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
        if policy not in ("experience_balanced", "reservoir"):
            raise ConfigError(
                f"Replay: policy must be 'experience_balanced' or 'reservoir', got {policy!r}."
            )
        self.mem_size = mem_size
        self.policy = policy
        self.batch_size_mem = batch_size_mem
        self.seed = seed
        self._experience = torch.zeros(0, dtype=torch.long)  # (M,) where a sample is from
        self._index = torch.zeros(0, dtype=torch.long)  # (M,) its place in that experience
        self._key = torch.zeros(0, dtype=torch.float64)  # (M,) its random key

    def __len__(self) -> int:
        return len(self._index)

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Mix the memory into the new batches; in the first experience there is none."""
        if len(self):
            memory = self.memory(strategy.experience.origin_stream).train()
            strategy.mix_in(memory, self.batch_size_mem or strategy.train_mb_size)

    def after_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Let the experience's samples into the memory."""
        seed = strategy.options.seed if self.seed is None else self.seed
        experience = strategy.experience.current_experience
        self.add(experience, len(strategy.experience.dataset), seed)

    def add(self, experience: int, count: int, seed: int) -> None:
        """Draw the memory anew from what it holds and from an experience's samples.

        Args:
            experience: The experience's index in the stream.
            count: Its number of samples.
            seed: Seed of the keys.
        """
        keys = torch.rand(
            count, generator=generator(seed, "replay", experience), dtype=torch.float64
        )
        self._experience = torch.cat([self._experience, torch.full((count,), experience)])
        self._index = torch.cat([self._index, torch.arange(count)])
        self._key = torch.cat([self._key, keys])
        kept = self._chosen().sort().values
        self._experience = self._experience[kept]
        self._index = self._index[kept]
        self._key = self._key[kept]

    def _chosen(self) -> Tensor:
        """Return the places of the samples that stay."""
        order = self._key.argsort()
        if self.policy == "reservoir":
            return order[: self.mem_size]
        rank = torch.empty_like(order)  # a sample's place among its own experience, by key
        for experience in self._experience.unique():
            own = order[self._experience[order] == experience]
            rank[own] = torch.arange(len(own))
        # the first of every experience, then the second of every experience ...: equal shares, and
        # what a small experience cannot fill goes to the others
        turns = (rank * (int(self._experience.max()) + 1) + self._experience).argsort()
        return turns[: self.mem_size]

    def memory(self, stream: Any) -> Any:  # noqa: ANN401
        """Return the remembered samples as one data set over the stream's experiences."""
        return concat_datasets(
            [
                stream[int(k)].dataset.subset(self._index[self._experience == k].tolist())
                for k in self._experience.unique()
            ]
        )

    def state_dict(self) -> dict[str, Any]:
        """Return which samples are remembered, and their keys."""
        return {"experience": self._experience, "index": self._index, "key": self._key}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a memory over."""
        self._experience = state["experience"].cpu()
        self._index = state["index"].cpu()
        self._key = state["key"].cpu()
