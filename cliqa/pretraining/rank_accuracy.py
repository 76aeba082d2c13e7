"""The rank accuracy of a scorer on ladders of held-out images.

Legend: L levels (level 0 is the mildest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from cliqa.evaluation.rank_accuracy import rank_accuracy
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import EvaluationError
from cliqa.utils.progress import Phase
from cliqa.utils.seed import derive_seed


@torch.no_grad()
def ladder_accuracy(
    scorer: Callable[[Tensor], Tensor],
    images: Sequence[Tensor],
    degradations: Mapping[str, SyntheticDegradation],
    normalise: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> dict[str, float]:
    """Return a scorer's rank accuracy on the ladders of held-out images.

    Args:
        scorer: Images (L, C, H, W) -> scores (L,), higher = better. A module should be in
            evaluation mode.
        images: Held-out images (C, H, W), uint8 or float in 0..1.
        degradations: The ladders by name.
        normalise: Applied to degraded images (L, C, H, W), float32 in 0..1, before the scorer.
        seed: Seed of the degradations.
        device: Where the scorer runs.

    Returns:
        The accuracy by the ladder's name, and ``"overall"``, their mean.

    Raises:
        EvaluationError: There is no image or no ladder, or the scores cannot be ranked.
    """
    if not images or not degradations:
        raise EvaluationError("rank accuracy needs at least one image and one degradation.")
    found = {}
    total = len(images) * len(degradations)
    with Phase("rank accuracy", total, "ladder") as bar:
        for name, degradation in degradations.items():
            rows = []
            for index, image in enumerate(images):
                draw = torch.Generator().manual_seed(derive_seed(seed, name, index))
                ladder = to_float(torch.stack(list(degradation(image, draw)))).to(device)
                scores = scorer(ladder if normalise is None else normalise(ladder))
                if scores.shape != ladder.shape[:1]:
                    raise EvaluationError(
                        f"the scorer returned shape {tuple(scores.shape)} for {len(ladder)} "
                        f"images; expected one score per image, ({len(ladder)},)."
                    )
                rows.append(scores.float().cpu())
                bar.update()
            found[name] = rank_accuracy(torch.stack(rows))
    return {**found, "overall": sum(found.values()) / len(found)}


def to_float(images: Tensor) -> Tensor:
    """Return images in float32, 8-bit levels scaled to 0..1."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
