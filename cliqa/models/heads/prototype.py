"""Nearest-class-mean classification by running class means."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.arguments import check_choice, check_positive
from cliqa.models.heads.features import feature_vectors, full_precision
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

METRICS = ("cosine", "euclidean")

BELOW_ALL = 1e4
"""Offset of an unseen class's logit below the others: its softmax is 0, within float16's range."""


@MODELS.register_module()
class PrototypeHead(nn.Module):
    """A nearest-class-mean classifier without trained parameters.

    The means are those of all features passed to `update`, in any batches and order: nothing is
    forgotten while the backbone does not change. Mensink et al., "Distance-based
    image classification", 2013; Snell et al., "Prototypical networks", 2017; Rebuffi et al.,
    "iCaRL", 2017, section 3.1 (with `normalize`).

    An optimizer over a model with a frozen backbone and this head would be empty.

    Args:
        num_classes: K.
        in_channels: Length D of the feature vectors.
        metric: ``"cosine"``: logit = temperature * cos(f, mean). ``"euclidean"``:
            logit = -||f - mean||^2.
        normalize: Normalise every feature vector to length 1 first.
        temperature: The factor of the cosine.

    Attributes:
        sums: (K, D) float64, the sum of each class's features.
        counts: (K,) int64, how many there were.

    Raises:
        ConfigError: A size or the temperature is not above 0, or the metric is unknown.
    """

    sums: torch.Tensor
    counts: torch.Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        metric: str = "cosine",
        normalize: bool = True,
        temperature: float = 16.0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_positive(
            name, num_classes=num_classes, in_channels=in_channels, temperature=temperature
        )
        check_choice(name, METRICS, metric=metric)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.metric = metric
        self.normalize = normalize
        self.temperature = temperature
        self.register_buffer("sums", torch.zeros(num_classes, in_channels, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.int64))

    @property
    def means(self) -> torch.Tensor:
        """The class means (K, D), float64; zeros for an unseen class."""
        return self.sums / self.counts.clamp(min=1)[:, None]

    def reset(self) -> None:
        """Reset all class means."""
        self.sums.zero_()
        self.counts.zero_()

    @torch.no_grad()
    def update(
        self, features: torch.Tensor | tuple[torch.Tensor, ...], targets: torch.Tensor
    ) -> None:
        """Add labelled features to the class means.

        Args:
            features: (B, D), or a tuple whose last item is used.
            targets: (B,) classes, 0..K-1.

        Raises:
            ModelError: A class does not exist, a feature is not finite, or there are not as many
                targets as features.
        """
        vectors = feature_vectors(features, self.in_channels)
        self._check(vectors, targets)
        vectors = self._prepared(vectors.double())  # (B, D)
        # a matrix product, as index_add_ is not deterministic on a GPU
        members = F.one_hot(targets.long(), self.num_classes)  # (B, K)
        self.sums += members.T.double() @ vectors
        self.counts += members.sum(dim=0)

    def forward(self, features: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Return logits (B, K) for features (B, D).

        An unseen class is `BELOW_ALL` below the lowest of the others; before the first `update` all
        classes have equal logits.
        """
        with full_precision(self, feature_vectors(features, self.in_channels)) as vectors:
            vectors = self._prepared(vectors)
            means = self.means.to(vectors.dtype)  # (K, D)
            if self.metric == "cosine":
                logits = self.temperature * F.normalize(vectors) @ F.normalize(means).T
            else:
                # explicit differences: |f|^2 - 2 f m + |m|^2 would lose precision
                mode = "donot_use_mm_for_euclid_dist"
                logits = -torch.cdist(vectors, means, compute_mode=mode).square()
        seen = self.counts > 0  # (K,)
        lowest = torch.where(seen, logits.detach(), torch.inf).amin(dim=1, keepdim=True)  # (B, 1)
        lowest = torch.where(seen.any(), lowest, 0.0)
        return torch.where(seen, logits, lowest - BELOW_ALL)

    def _prepared(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return vectors (B, D), normalised if `normalize` is set."""
        return F.normalize(vectors) if self.normalize else vectors

    def _check(self, vectors: torch.Tensor, targets: torch.Tensor) -> None:
        """Raise a ModelError if features (B, D) and targets (B,) are invalid."""
        if targets.shape != vectors.shape[:1]:
            raise ModelError(
                f"PrototypeHead.update: features {tuple(vectors.shape)} need as many targets, one "
                f"class each, but targets have shape {tuple(targets.shape)}."
            )
        wrong = targets[(targets < 0) | (targets >= self.num_classes)]
        if len(wrong):
            raise ModelError(
                f"PrototypeHead.update: class {int(wrong[0])} does not exist; the head has classes "
                f"0..{self.num_classes - 1}. Set num_classes in model.head to the stream's."
            )
        if not vectors.isfinite().all():
            raise ModelError(
                "PrototypeHead.update: a feature is NaN or infinite, which would spoil the mean of "
                "its class for good. Check the backbone's weights, or turn amp off."
            )

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> nn.Module:
        """Move the buffers; the sums stay float64 after ``model.half()``."""
        exact = self.sums
        super()._apply(fn, recurse)
        if self.sums.dtype != exact.dtype:
            self.sums = exact.to(self.sums.device)
        return self
