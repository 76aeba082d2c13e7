"""The base of methods that learn prompts beside a frozen transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from cliqa.models.arguments import check_least
from cliqa.models.backbones.prompted.frozen_transformer import FrozenTransformer
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError

OWN_LOSSES = ("ER_ACE",)
"""Plugins that replace the task loss of the new samples themselves."""


class PromptPlugin(ContinualPlugin, abstract=True):
    """A method whose whole memory are prompts, keys and a head, all part of the model.

    Args:
        strength: Of what the method adds to the loss, >= 0.
        own_classes: Over classes: let the samples of an experience compete among its classes alone
            (and those of a memory's samples in the batch), so that they do not push the logits of
            earlier classes down, as in the authors' code of all three methods. No effect over
            scores.

    Attributes:
        backbone: The class of the model's part that has the prompts.

    Raises:
        ConfigError: `strength` is negative.
    """

    backbone: ClassVar[type[FrozenTransformer]]

    def __init__(self, strength: float, own_classes: bool = True) -> None:
        super().__init__()
        check_least(type(self).__name__, 0.0, strength=strength)
        self.strength = strength
        self.own_classes = own_classes
        self._own: list[int] = []  # of the current experience; none over scores

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse a plugin that leaves out logits too.

        Raises:
            ConfigError: There is one.
        """
        for name in (type(plugin).__name__ for plugin in plugins):
            if self.own_classes and name in OWN_LOSSES:
                raise ConfigError(
                    f"{type(self).__name__}: '{name}' chooses the classes that compete, too. Set "
                    "own_classes=False."
                )

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model without prompts."""
        self.part_of(model)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse a model without prompts, and note the experience's classes."""
        self.part_of(strategy.model)
        known = self.own_classes and classes_of(strategy.experience)
        targets = strategy.adapted_dataset.targets if known else ()
        self._own = sorted({int(target) for target in targets})

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Replace the task loss by that over the experience's own classes."""
        if not self._own:
            return
        outputs, targets = strategy.mb_output, strategy.mb_y
        own = torch.tensor(self._own, device=targets.device)
        present = torch.cat([own, targets]).unique()
        if len(present) == outputs.shape[1]:
            return
        places = torch.searchsorted(present, targets)
        alone = strategy.task_loss(outputs[:, present], places)
        strategy.loss = strategy.loss + alone - strategy.task_loss(outputs, targets)

    def part_of(self, model: nn.Module) -> Any:  # noqa: ANN401  each method's own class
        """Return the model's part with prompts.

        Raises:
            ConfigError: It has none.
        """
        for module in model.modules():
            if isinstance(module, self.backbone):
                return module
        raise ConfigError(
            f"{type(self).__name__}: the model has no prompts of its kind. Set "
            f"model.backbone=dict(type='{self.backbone.__name__}', "
            "backbone=dict(type='TimmBackbone', name='vit_small_patch16_224', pretrained=True))."
        )


class KeyedPlugin(PromptPlugin, abstract=True):
    """A method whose forward pass tells how near the images are to keys, which it pulls closer."""

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Collect the cosines of this forward pass."""
        if self.strength:
            self.part_of(strategy.model).matches = []

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add ``-strength * cosine``."""
        super().before_backward(strategy)
        if not self.strength:
            return
        part = self.part_of(strategy.model)
        for match in part.matches or ():
            strategy.loss = strategy.loss - self.strength * strategy.whole(match).mean()
        part.matches = None  # a copy of the model must not hold a graph


class PlannedPrompts(PromptPlugin, abstract=True):
    """A method with prompts of each experience's own, made for a number of experiences."""

    saved = ("_ended",)

    def __init__(self, strength: float, own_classes: bool = True) -> None:
        super().__init__(strength, own_classes)
        self._ended = 0  # experiences
        self._room: int | None = None

    def prepare(self, model: nn.Module) -> None:
        """Note for how many experiences there are prompts."""
        self._room = self.part_of(model).experiences

    def check_room(self, to_come: int) -> None:
        """Refuse a stream with more experiences than prompts.

        Raises:
            ConfigError: With the number to set.
        """
        total = self._ended + to_come
        if self._room is not None and total > self._room:
            raise ConfigError(
                f"{type(self).__name__}: the stream has {total} experiences, and the prompts are "
                f"for {self._room}. Train from the start with model.backbone.experiences={total} "
                "or more."
            )

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Begin the experience's prompts."""
        super().before_training_exp(strategy)
        self.prepare(strategy.model)
        self._ended = strategy.step_index
        self.check_room(1)
        self.part_of(strategy.model).begin(strategy.step_index)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Count the experience."""
        self._ended = strategy.step_index + 1
