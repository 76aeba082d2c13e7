"""CODA-Prompt: prefixes that are sums of components, to which every experience adds its own."""

from __future__ import annotations

from cliqa.models.backbones.prompted.coda_prompt_transformer import CODAPromptTransformer
from cliqa.registry import PLUGINS
from cliqa.training.plugins.prompts.base import PlannedPrompts
from cliqa.training.strategy import Strategy


@PLUGINS.register_module()
class CODAPrompt(PlannedPrompts):
    """Add ``strength * |B B^T - I|^2`` of components, attention vectors and keys to the loss.

    Smith et al., "CODA-Prompt: COntinual Decomposed Attention-based Prompting for Rehearsal-Free
    Continual Learning", CVPR 2023. The model's backbone is a `CODAPromptTransformer`; components,
    attention vectors, keys and the head are trained, and are the whole memory. An experience's
    components start orthogonal to the earlier ones as these were learnt, and do not change once
    the experience is over; the head goes on learning.

    Args:
        strength: lambda of the orthogonality penalty, >= 0. The authors' scripts set it to 0, as
            the components start orthogonal.
        own_classes: As `PromptPlugin`.

    Raises:
        ConfigError: `strength` is negative.
    """

    backbone = CODAPromptTransformer
    distributed = "every process holds the same prompts; how near images are to keys is exchanged"

    def __init__(self, strength: float = 0.0, own_classes: bool = True) -> None:
        super().__init__(strength, own_classes)

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the penalty."""
        super().before_backward(strategy)
        if self.strength:
            penalty = self.part_of(strategy.model).penalty()
            strategy.loss = strategy.loss + self.strength * penalty
