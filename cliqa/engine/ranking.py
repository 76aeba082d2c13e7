"""What a model says about versions of an image that get worse and worse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from cliqa.datasets.generated.distortions import DISTORTIONS, degrade, to_bytes
from cliqa.engine.inference import Predictor
from cliqa.training.batching import apply_model, collate_eval
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.suggest import closest
from cliqa.visualization.ranking import Ladder


def rank_degradations(
    predictor: Predictor, path: Path, kinds: Sequence[str], levels: int = 5, seed: int = 0
) -> list[Ladder]:
    """Return an image's scores at rising degradation, one ladder a distortion.

    Args:
        predictor: The model with its preprocessing. It gets every version as it is.
        path: The image.
        kinds: Names in `DISTORTIONS`.
        levels: Degraded versions L; their severities are even steps from 0 to 1.
        seed: Of the noise.

    Raises:
        ConfigError: A distortion is unknown.
        DatasetError: The image cannot be read.
        ModelError: The model gives classes.
    """
    for kind in kinds:
        if kind not in DISTORTIONS:
            known = ", ".join(DISTORTIONS)
            raise ConfigError(
                f"--distortions {kind}: unknown.{closest(kind, DISTORTIONS)} Known: {known}."
            )
    if predictor.classes:
        raise ModelError(f"{predictor.checkpoint}: gives classes, and a ranking needs scores.")
    image = read_image(path)
    return [_ladder(predictor, path.name, image, kind, levels, seed) for kind in kinds]


def _ladder(
    predictor: Predictor, name: str, image: torch.Tensor, kind: str, levels: int, seed: int
) -> Ladder:
    """Return one distortion's ladder of an image, uint8 (3, H, W)."""
    pixels = image.permute(1, 2, 0).numpy()
    exact = pixels.astype(np.float32) / 255.0
    steps = np.linspace(0.0, 1.0, levels) if levels > 1 else np.array([0.5])
    worse = [
        to_bytes(degrade(exact, kind, float(step), np.random.default_rng(seed))) for step in steps
    ]
    versions = [pixels, *worse]
    scores = [_score(predictor, version) for version in versions]
    return Ladder(name, kind, versions, np.array(scores))


@torch.no_grad()
def _score(predictor: Predictor, pixels: np.ndarray) -> float:
    """Return one image's score; its crops are averaged."""
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    batch = collate_eval([(predictor.transform(image), 0.0)])[0].to(predictor.device)
    return float(apply_model(predictor.model, batch).float().cpu())
