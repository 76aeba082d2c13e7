"""How far a faster way of computing agrees with float32, told on the first images.

Legend: B images, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from cliqa.evaluation.functional import srcc
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.utils.logging import get_logger
from cliqa.utils.memory import InPieces

logger = get_logger(__name__)

IMAGES = 64
"""So many images are computed in both ways: enough for a correlation, and soon over."""


class Agreement:
    """The comparison of a faster computation with float32, while the first images pass.

    Args:
        name: The faster way, e.g. ``"bfloat16"``.
        classes: How many of the outputs (B, K) are classes; None for all. Scores are (B,).
        most: Images after which it is told and over.
    """

    def __init__(self, name: str, classes: int | None = None, most: int = IMAGES) -> None:
        self.name, self.classes, self.most = name, classes, most
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._told = False

    def add(self, outputs: Tensor, exact: Callable[[], Tensor]) -> None:
        """Compare a batch, if there have been too few images yet.

        Args:
            outputs: (B,) or (B, K), of the faster way.
            exact: Returns the same in float32.
        """
        if self._told:
            return
        self._pairs.append((outputs, exact()))
        if sum(len(fast) for fast, _ in self._pairs) >= self.most:
            self.tell()

    def tell(self) -> None:
        """Log the agreement, if it has not been and there is any."""
        if self._told or not self._pairs:
            return
        self._told = True
        logger.info("%s", self.text())

    def text(self) -> str:
        """Return the agreement in words."""
        fast, exact = (torch.cat(parts).double() for parts in zip(*self._pairs, strict=True))
        if fast.dim() == 2:
            return self._of_classes(fast[:, : self.classes], exact[:, : self.classes])
        parts = [f"largest difference {_largest(fast, exact):.2g}"]
        finite = bool(fast.isfinite().all() and exact.isfinite().all())
        value = srcc(fast.numpy(), exact.numpy()) if finite and len(fast) > 2 else None
        if value is not None:
            parts.insert(0, f"SRCC {value:.4f}")
        return f"{self._begin(len(fast))}: {', '.join(parts)}"

    def _of_classes(self, fast: Tensor, exact: Tensor) -> str:
        """Return the agreement of logits (B, K)."""
        same = int((fast.argmax(1) == exact.argmax(1)).sum())
        largest = _largest(fast.softmax(1), exact.softmax(1))
        return (
            f"{self._begin(len(fast))}: {same} of {len(fast)} have the same class, largest "
            f"difference of a probability {largest:.2g}"
        )

    def _begin(self, count: int) -> str:
        images = "image" if count == 1 else f"{count} images"
        return f"{self.name} against float32 on the first {images}"


class WatchedModel:
    """A model of batches that are halved when memory runs out, compared with float32 at first.

    Args:
        model: Images (B, C, H, W) -> (B,) or (B, K). If it has an attribute ``exact`` that is not
            None, that is the same in float32, and ``computed`` is the model's own way.
        classes: How many of the outputs (B, K) are classes; None for all.
    """

    def __init__(self, model: Callable[[Tensor], Tensor], classes: int | None = None) -> None:
        self._pieces = InPieces(model)
        exact = getattr(model, "exact", None)
        self._exact = None if exact is None else InPieces(exact)
        self._agreement = Agreement(getattr(model, "computed", ""), classes)

    @property
    def fits(self) -> bool:
        """Whether a batch has been computed."""
        return self._pieces.fits

    def __call__(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the outputs (B,) or (B, K) of a batch; crops are averaged."""
        outputs = apply_model(self._pieces, images)
        exact = self._exact
        if exact is not None:
            self._agreement.add(outputs, lambda: apply_model(exact, images))
        return outputs

    def tell(self) -> None:
        """Log how far the model agrees with float32, if it has not been logged."""
        self._agreement.tell()


def _largest(fast: Tensor, exact: Tensor) -> float:
    """Return the largest absolute difference."""
    return float(np.abs((fast - exact).numpy()).max())
