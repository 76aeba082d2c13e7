"""DualPrompt: a prefix for all experiences, and one of each experience's own, found by its key."""

from __future__ import annotations

from cliqa.models.backbones.prompted.dual_prompt_transformer import DualPromptTransformer
from cliqa.registry import PLUGINS
from cliqa.training.plugins.prompts.base import KeyedPlugin, PlannedPrompts


@PLUGINS.register_module()
class DualPrompt(KeyedPlugin, PlannedPrompts):
    """Add ``-strength * cosine of the experience's key`` to the loss, averaged over the images.

    Wang et al., "DualPrompt: Complementary Prompting for Rehearsal-free Continual Learning", ECCV
    2022. The model's backbone is a `DualPromptTransformer`; its prompts, keys and the head are
    trained, and are the whole memory. Each expert prompt starts as the one before it ended, and
    does not change once its experience is over; the general prompt and the head go on learning.
    As in the authors' code a prompt's length counts keys, and as many values beside them.

    Args:
        strength: lambda of the matching loss, >= 0.
        own_classes: As `PromptPlugin`.

    Raises:
        ConfigError: `strength` is negative.
    """

    backbone = DualPromptTransformer
    distributed = "every process holds the same prompts; how near images are to keys is exchanged"

    def __init__(self, strength: float = 1.0, own_classes: bool = True) -> None:
        super().__init__(strength, own_classes)
