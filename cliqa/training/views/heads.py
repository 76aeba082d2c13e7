"""One trunk, the heads of all experiences and their gate, as one network."""

from __future__ import annotations

from torch import Tensor

from cliqa.models.heads.earlier import heads_said
from cliqa.training.views.gate import GatedViews


class GatedHeads(GatedViews):
    """Heads over one trunk, weighted by a gate.

    Its outputs match an evaluation with ``inference="gate"``, except for crops; see `GatedViews`.

    Args:
        views: The model with each experience's head.
        gate: The gate.

    Attributes:
        head: The name of the head in a view.
    """

    head = "head"

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) for images (B, C, H, W)."""
        heads = [view.get_submodule(self.head) for view in self.views]
        with heads_said(heads[0], heads) as said:
            self.views[0](images)
        return weighted(said[0], self.weights(images))


def weighted(outputs: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the heads' outputs.

    Args:
        outputs: (B, T) or (B, T, K).
        weights: (B, T).

    Returns:
        (B,) or (B, K).
    """
    return ((weights[:, :, None] if outputs.dim() == 3 else weights) * outputs).sum(1)
