"""Learning to prompt: keys of a pool of prompts are pulled towards the images that chose them."""

from __future__ import annotations

from cliqa.models.backbones.prompted.prompted_transformer import PromptedTransformer
from cliqa.registry import PLUGINS
from cliqa.training.plugins.prompts.base import KeyedPlugin


@PLUGINS.register_module()
class L2P(KeyedPlugin):
    """Add ``-strength * sum of the chosen keys' cosines`` to the loss, averaged over the images.

    Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022, eq. 5. The model's backbone
    is a `PromptedTransformer`, whose prompts, keys and head are trained; they are the whole memory,
    part of the model. Nothing of an earlier data set is kept.

    Args:
        strength: lambda, >= 0. With 0 the keys stay as they were made.
        own_classes: As `PromptPlugin`.

    Raises:
        ConfigError: `strength` is negative.
    """

    saved = ()
    distributed = "every process holds the same prompts; how near images are to keys is exchanged"
    backbone = PromptedTransformer

    def __init__(self, strength: float = 0.5, own_classes: bool = True) -> None:
        super().__init__(strength, own_classes)
