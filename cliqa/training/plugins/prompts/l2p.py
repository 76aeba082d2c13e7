"""Learning to prompt: keys of a pool of prompts are pulled towards the images that chose them."""

from __future__ import annotations

from torch import nn

from cliqa.models.arguments import check_least
from cliqa.models.backbones.prompted_transformer import PromptedTransformer
from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError


@PLUGINS.register_module()
class L2P(ContinualPlugin):
    """Add ``-strength * sum of the chosen keys' cosines`` to the loss, averaged over the images.

    Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022, eq. 5. The model's backbone
    is a `PromptedTransformer`, whose prompts, keys and head are trained; they are the whole memory,
    part of the model. Nothing of an earlier data set is kept.

    Args:
        strength: lambda, >= 0. With 0 the keys stay as they were made.

    Raises:
        ConfigError: `strength` is negative.
    """

    saved = ()

    def __init__(self, strength: float = 0.5) -> None:
        super().__init__()
        check_least("L2P", 0.0, strength=strength)
        self.strength = strength

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse a model without prompts."""
        self._pool(strategy.model)

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Collect the cosines of this forward pass."""
        if self.strength:
            self._pool(strategy.model).matches = []

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Pull the chosen keys towards the images."""
        if not self.strength:
            return
        pool = self._pool(strategy.model)
        for match in pool.matches or ():
            strategy.loss = strategy.loss - self.strength * match
        pool.matches = None  # a copy of the model must not hold a graph

    def _pool(self, model: nn.Module) -> PromptedTransformer:
        """Return the model's part with prompts.

        Raises:
            ConfigError: It has none.
        """
        for module in model.modules():
            if isinstance(module, PromptedTransformer):
                return module
        raise ConfigError(
            "L2P: the model has no prompts. Set model.backbone=dict(type='PromptedTransformer', "
            "backbone=dict(type='TimmBackbone', name='vit_small_patch16_224', pretrained=True))."
        )
