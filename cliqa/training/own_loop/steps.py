"""The steps of any optimizer over a model's weights, watched from outside."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from avalanche.training.plugins import SupervisedPlugin
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from cliqa.training.plugins.base import ContinualPlugin


def needs_steps(plugin: ContinualPlugin) -> bool:
    """Return whether a plugin uses the gradients or the optimizer's steps."""
    return any(
        getattr(type(plugin), hook) is not getattr(SupervisedPlugin, hook)
        for hook in ("after_backward", "after_update")
    )


class OptimizerSteps:
    """Calls functions before and after every step of an optimizer that has a model's weights.

    It uses PyTorch's global hooks, so that the optimizer need not be known and may be replaced. It
    is forgotten with its last reference, or by `end`.

    Args:
        model: The model.
        before: Called before a step: the gradients are ready, clipped if the loop clips them.
        after: Called after it.

    Attributes:
        optimizer: The optimizer of the last step; None before the first.
    """

    def __init__(
        self, model: nn.Module, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self.optimizer: Optimizer | None = None
        self._model = model
        self._calls = {"before": before, "after": after}
        me = weakref.ref(self)

        def hook(when: str) -> Callable[..., None]:
            def call(optimizer: Optimizer, *_: object) -> None:
                watcher = me()
                if watcher is not None and watcher.watches(optimizer):
                    watcher.optimizer = optimizer
                    watcher._calls[when]()

            return call

        self._handles = [
            register_optimizer_step_pre_hook(hook("before")),
            register_optimizer_step_post_hook(hook("after")),
        ]

    def watches(self, optimizer: Optimizer) -> bool:
        """Return whether the optimizer has some of the model's weights."""
        own = {id(weight) for weight in self._model.parameters()}
        return any(id(w) in own for group in optimizer.param_groups for w in group["params"])

    def end(self) -> None:
        """Stop calling."""
        for handle in self._handles:
            handle.remove()
