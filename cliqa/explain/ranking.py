"""What a model says about versions of an image that get worse and worse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cliqa.explain.ranking_figure import Ladder
from cliqa.inference.predict import Predictor
from cliqa.transforms.decode import read_image
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import ModelError


def rank_degradations(
    predictor: Predictor, path: Path, kinds: Sequence[str], levels: int = 5, seed: int = 0
) -> list[Ladder]:
    """Return an image's scores at rising degradation, one ladder a degradation.

    Args:
        predictor: The model with its preprocessing. It gets every version as it is.
        path: The image.
        kinds: Families of `SyntheticDegradation`.
        levels: Degraded versions L.
        seed: Of the noise.

    Raises:
        ConfigError: A degradation is unknown, or has fewer levels.
        DatasetError: The image cannot be read.
        ModelError: The model gives classes.
    """
    damages = {kind: SyntheticDegradation(kind, levels, pristine=True, seed=seed) for kind in kinds}
    if predictor.classes:
        raise ModelError(f"{predictor.checkpoint}: gives classes, and a ranking needs scores.")
    image = read_image(path)
    ladders = []
    for kind, degraded in damages.items():
        versions = degraded(image)
        scores = np.array([float(predictor.score(version)) for version in versions])
        ladders.append(
            Ladder(path.name, kind, [v.permute(1, 2, 0).numpy() for v in versions], scores)
        )
    return ladders
