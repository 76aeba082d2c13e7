"""Memory batches that go through the model with others, in as few passes as the method allows.

Small batches waste time: most of a pass over eight images is spent on the weights. Legend: B new
samples, M samples of a memory batch, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from cliqa.training.loop.parallel.shared_batch import joined, moved
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Batch, Strategy

AT_FORWARD = ("before_forward", "after_forward")
"""Hooks that see the batch of a forward pass."""


class JoinedPass:
    """One forward pass over the new batch and memory batches, if the outputs stay the same.

    They do where every layer treats samples one by one. Batch normalisation does not, unless it is
    frozen: there the new batch has a pass of its own, as methods with separate losses define it
    (Buzzega et al., 2020; Caccia et al., 2022), and the memory batches, which are draws of one
    distribution, share a second one. Images of another size have their own pass, too.

    Call `start` in ``before_training_epoch``, `before` and `after` in the hooks around the forward
    pass, and `outputs` in ``before_backward``.

    Args:
        owner: The plugin that draws the memory batches.
    """

    def __init__(self, owner: ContinualPlugin) -> None:
        self._owner = owner
        self._free = False  # samples do not depend on each other
        self._new: Batch | None = None
        self._batches: list[Batch] = []
        self._found: list[Tensor] = []

    def start(self, strategy: Strategy) -> None:
        """Look whether this epoch's passes can be joined."""
        self._free = not mixes_samples(strategy.model) and not any(
            getattr(type(plugin), hook, None) is not getattr(ContinualPlugin, hook)
            for plugin in strategy.plugins
            if isinstance(plugin, ContinualPlugin) and plugin is not self._owner
            for hook in AT_FORWARD
        )

    def before(self, strategy: Strategy, batches: Sequence[Batch]) -> None:
        """Append memory batches to the new one, where their outputs do not depend on it."""
        self._batches = [moved(batch, strategy.device) for batch in batches]
        self._new, self._found = None, []
        if self._free and batches and fit([strategy.mbatch, *self._batches]):
            self._new = strategy.mbatch
            strategy.mbatch = joined([self._new, *self._batches])

    def after(self, strategy: Strategy) -> None:
        """Give the strategy its own batch and outputs back."""
        if self._new is not None:
            sizes = [len(batch[1]) for batch in (self._new, *self._batches)]
            strategy.mb_output, *self._found = strategy.mb_output.split(sizes)
            strategy.mbatch, self._new = self._new, None

    def outputs(self, strategy: Strategy) -> list[Tensor]:
        """Return the outputs (M,) or (M, K) of every memory batch."""
        batches, found = self._batches, self._found
        self._batches, self._found = [], []
        if found or not batches:
            return found
        if len(batches) > 1 and fit(batches):
            sizes = [len(batch[1]) for batch in batches]
            return list(strategy.output_of(joined(batches)).split(sizes))
        return [strategy.output_of(batch) for batch in batches]


def mixes_samples(model: nn.Module) -> bool:
    """Return whether a sample's output, or a statistic, depends on the others in its batch."""
    return any(
        isinstance(module, _NormBase) and module.training and _uses_batch(module)
        for module in model.modules()
    )


def _uses_batch(module: _NormBase) -> bool:
    """Return whether a normalisation in training mode computes with statistics of a batch."""
    return module.track_running_stats or "Instance" not in type(module).__name__


def fit(batches: Sequence[Batch]) -> bool:
    """Return whether batches can be one: their samples have one shape."""
    if not all(isinstance(batch[0], Tensor) for batch in batches):
        return False
    shapes = {tuple(part.shape[1:] for part in batch) for batch in batches}
    return len(shapes) == 1
