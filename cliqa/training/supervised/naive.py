"""Fine-tuning on one experience after the other: the lower end of every comparison."""

from __future__ import annotations

from cliqa.registry import STRATEGIES
from cliqa.training.loop.template import Template


@STRATEGIES.register_module()
class Naive(Template):
    """Plain fine-tuning; plugins turn it into any other method."""
