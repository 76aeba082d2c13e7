"""The good and the bad anchor that embeddings are compared with.

Legend: D dimensions of an embedding, P prompt pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.models.language.clip_files import build_clip, import_clip
from cliqa.utils.archive import ArchiveError, read_npz
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.io import write_npz

PROMPTS = (
    ("Good photo.", "Bad photo."),
    ("Sharp image.", "Blurry image."),
    ("Sharp edges.", "Blurry edges."),
    ("High-resolution image.", "Low-resolution image."),
    ("Noise-free image.", "Noisy image."),
    ("High-quality image.", "Low-quality image."),
    ("Good picture.", "Bad picture."),
)
"""QualiCLIP's antonyms (Agnolucci et al., 2024), each (good, bad)."""

_SIDES = ("good", "bad")


def antipodal_anchors(dim: int) -> Tensor:
    """Return opposite unit vectors (2, D).

    >>> antipodal_anchors(2).tolist()
    [[1.0, 0.0], [-1.0, -0.0]]
    """
    good = _axis(dim, 0, least=1)
    return torch.stack([good, -good])


def orthogonal_anchors(dim: int) -> Tensor:
    """Return orthogonal unit vectors (2, D).

    >>> orthogonal_anchors(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return torch.stack([_axis(dim, 0, least=2), _axis(dim, 1, least=2)])


def _axis(dim: int, place: int, least: int) -> Tensor:
    """Return a unit vector (D,) along one axis.

    Raises:
        ConfigError: There are too few dimensions.
    """
    if isinstance(dim, bool) or not isinstance(dim, int) or dim < least:
        raise ConfigError(f"anchors: dim must be a whole number of at least {least}, got {dim!r}.")
    return F.one_hot(torch.tensor(place), dim).float()


def join_prompts(good: Tensor, bad: Tensor, centred: bool = True) -> Tensor:
    """Return one pair of anchors (2, D) for the features of several prompts.

    Texts on quality have similar features: with a cosine of good and bad near 1 an embedding can
    hardly be near one and far from the other, and training is slow. Centred anchors are opposite.

    Args:
        good: (P, D).
        bad: (P, D).
        centred: Subtract the mean of both anchors before they are scaled to length 1.

    Raises:
        ModelError: The anchors do not differ, or a feature is zero or not finite.
    """
    anchors = torch.stack([F.normalize(side.double(), dim=1).mean(0) for side in (good, bad)])
    if centred:
        anchors = anchors - anchors.mean(0)
    return _unit(anchors, "the prompts").float()


def _unit(anchors: Tensor, where: str) -> Tensor:
    """Return anchors (2, D) of length 1.

    Raises:
        ModelError: One has no length, or both are equal.
    """
    lengths = anchors.norm(dim=1, keepdim=True)
    if not lengths.isfinite().all() or (lengths < 1e-9).any():
        raise ModelError(
            f"anchors from {where}: a vector is zero or not finite, or good and bad are the same. "
            "Use other prompts or anchors='antipodal'."
        )
    unit = anchors / lengths
    if torch.allclose(unit[0], unit[1]):
        raise ModelError(
            f"anchors from {where}: good and bad have the same direction. "
            "Use other prompts or anchors='antipodal'."
        )
    return unit


def save_anchors(path: str | Path, anchors: Tensor) -> None:
    """Write anchors (2, D) as an ``.npz`` with ``good`` and ``bad``, atomically."""
    good, bad = anchors.detach().cpu().float().numpy()
    write_npz(path, good=good, bad=bad)


def load_anchors(path: str | Path, centred: bool = False) -> Tensor:
    """Return the anchors (2, D) of an ``.npz`` file, scaled to length 1.

    Args:
        path: A file with the vectors ``good`` and ``bad``, (D,) or several (P, D).
        centred: As `join_prompts`.

    Raises:
        ModelError: The file is missing or damaged, or has no such vectors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file of anchors.")
    try:
        sides = {name: np.atleast_2d(side) for name, side in read_npz(path, _SIDES).items()}
    except (OSError, KeyError, ArchiveError) as error:
        raise ModelError(
            f"{path}: not an .npz file with the vectors 'good' and 'bad' ({error}). Write one with "
            "cliqa.pretraining.text_anchors.save_anchors."
        ) from error
    shapes = [side.shape for side in sides.values()]
    if any(s.dtype.kind not in "fiu" or s.ndim != 2 for s in sides.values()) or (
        shapes[0][1:] != shapes[1][1:]
    ):
        raise ModelError(f"{path}: 'good' and 'bad' are not vectors of one length: {shapes}.")
    good, bad = (torch.from_numpy(side.astype(np.float64)) for side in sides.values())
    return join_prompts(good, bad, centred)


def clip_anchors(
    weights: str | Path, prompts: Sequence[tuple[str, str]] = PROMPTS, centred: bool = True
) -> Tensor:
    """Return anchors (2, D) from the texts of a CLIP model.

    Args:
        weights: A local file: OpenAI's TorchScript archive (``RN50.pt``), or a state dict.
        prompts: Pairs (good, bad); their features are averaged.
        centred: As `join_prompts`.

    Raises:
        ConfigError: There is no prompt.
        ModelError: The package ``clip`` is missing, or the file holds no CLIP model.
    """
    if not prompts or any(len(pair) != 2 for pair in prompts):
        raise ConfigError("anchors: prompts must be pairs (good, bad), at least one.")
    clip = import_clip("anchors='clip'", "use anchors='antipodal', which needs none")
    model: Any = build_clip(clip, Path(weights))
    with torch.no_grad():
        good, bad = (
            model.encode_text(clip.tokenize(list(texts))).float()
            for texts in zip(*prompts, strict=True)
        )
    return join_prompts(good, bad, centred)


def build_anchors(
    anchors: str = "antipodal",
    dim: int = 128,
    weights: str | Path | None = None,
    prompts: Sequence[tuple[str, str]] = PROMPTS,
    centred: bool = True,
) -> Tensor:
    """Return anchors (2, D), good first, by the name of their kind.

    Args:
        anchors: ``"antipodal"``, ``"orthogonal"``, ``"file"`` (an ``.npz``) or ``"clip"``.
        dim: D of the first two kinds; a file and CLIP have their own.
        weights: The file of the last two.
        prompts: The prompts of ``"clip"``.
        centred: For the last two kinds; see `join_prompts`.

    Raises:
        ConfigError: The kind is unknown, or its file is not given.
        ModelError: The file does not fit.
    """
    if anchors == "antipodal":
        return antipodal_anchors(dim)
    if anchors == "orthogonal":
        return orthogonal_anchors(dim)
    if anchors not in ("file", "clip"):
        raise ConfigError(
            f"unknown anchors '{anchors}'. Use 'antipodal', 'orthogonal', 'file' or 'clip'."
        )
    if weights is None:
        what = "an .npz of two vectors" if anchors == "file" else "a CLIP model"
        raise ConfigError(f"anchors='{anchors}' needs weights='...', the path of {what}.")
    if anchors == "file":
        return load_anchors(weights, centred)
    return clip_anchors(weights, prompts, centred)
