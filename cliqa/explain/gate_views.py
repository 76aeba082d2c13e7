"""What each view of a model with a gate says about images, and how the gate weighs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cliqa.inference.predict import Predictor
from cliqa.training.views.gate import GatedViews


@dataclass(frozen=True)
class GateViews:
    """The views of N images.

    Attributes:
        names: The T views: the experiences after which they were kept.
        weights: (N, T); those of an image sum to 1.
        outputs: Scores (N, T), 0..1, or logits (N, T, K).
    """

    names: Sequence[str]
    weights: np.ndarray
    outputs: np.ndarray


def gate_views(predictor: Predictor, paths: Sequence[Path]) -> GateViews | None:
    """Return the views of image files; None for a model without a gate.

    Of several crops of an image, weights and outputs are averaged.

    Raises:
        DatasetError: An image cannot be read.
    """
    network = getattr(predictor.image_model, "network", None)
    if not isinstance(network, GatedViews):
        return None
    with torch.no_grad():
        weights = predictor.outputs(paths, network.weights).numpy()
        outputs = [predictor.outputs(paths, view).numpy() for view in network.views]
    names = predictor.names[: len(outputs)]
    return GateViews(names, weights, np.stack(outputs, axis=1))
