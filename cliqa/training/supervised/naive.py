"""Fine-tuning on one experience after another: the lower bound of every comparison."""

from __future__ import annotations

from cliqa.registry import STRATEGIES
from cliqa.training.loop.template import Template


@STRATEGIES.register_module()
class Naive(Template):
    """Plain fine-tuning; plugins add other methods."""

    distributed = "batches are shared, and gradients averaged"
