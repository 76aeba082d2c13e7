"""The origin of stored features: all in one folder come from one network."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision

from cliqa.datasets.clear.features import FEATURES
from cliqa.datasets.clear.layout import TRAINING
from cliqa.models.backbones.extractor import FeatureExtractor
from cliqa.transforms.pipeline import Pipeline, preprocessing_signature
from cliqa.utils.errors import CliqaError, DatasetError, ModelError, first_line
from cliqa.utils.io import sha256_of, write_json
from cliqa.utils.locks import remove_leftovers

DECIDING = ("arch", "weights_sha256", "preprocessing")
"""Entries of the origin that all features in one folder share."""

ORIGIN = "extractor.json"


def describe_origin(
    arch: str | Mapping[str, Any],
    checkpoint: str | Path | None,
    extractor: FeatureExtractor,
    pipeline: Pipeline,
) -> dict[str, Any]:
    """Describe how features are made, in JSON's types.

    Returns:
        ``arch``, ``checkpoint`` (the file's name), ``checkpoint_sha256``, ``weights_sha256`` (of
        the weights as they are, wherever they came from), ``preprocessing``, ``dim`` (the D of the
        features), ``versions``.

    Raises:
        ModelError: The network cannot take the images.
    """
    origin = {
        "arch": arch if isinstance(arch, str) else dict(arch),
        "checkpoint": None if checkpoint is None else Path(checkpoint).name,
        "checkpoint_sha256": None if checkpoint is None else sha256_of(Path(checkpoint)),
        "weights_sha256": _fingerprint(extractor),
        "preprocessing": preprocessing_signature(pipeline),
        "dim": _length(extractor, pipeline),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    plain: dict[str, Any] = json.loads(json.dumps(origin, default=str))
    return plain


def _fingerprint(extractor: FeatureExtractor) -> str:
    """Return a digest of the weights as they are, wherever they came from."""
    digest = hashlib.sha256()
    for name, tensor in extractor.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _length(extractor: FeatureExtractor, pipeline: Pipeline) -> int:
    """Return D, by a trial on a black image."""
    image = pipeline(torch.zeros(3, 224, 224, dtype=torch.uint8))
    parameter = next(extractor.parameters())
    try:
        return extractor(image[None].to(parameter.device)).shape[1]
    except CliqaError:
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = first_line(error)
        raise ModelError(
            f"arch: the network cannot take images of shape {tuple(image.shape)} ({reason}). "
            "Choose one for images of 224 pixels."
        ) from error


def claim_folder(part: Path, name: str, origin: Mapping[str, Any], overwrite: bool) -> None:
    """Reserve a folder for the features of one network.

    Raises:
        DatasetError: The folder is another network's, or of unknown origin.
    """
    folder, joined = part / FEATURES / name, part / TRAINING / FEATURES / name
    advice = "Choose another name, or set overwrite=True (--overwrite) to replace them."
    if overwrite:
        for old in (folder, joined):
            if old.exists():
                shutil.rmtree(old)
    if (folder / ORIGIN).is_file():
        earlier = _read_origin(folder / ORIGIN, advice)
        differing = [key for key in DECIDING if earlier.get(key) != origin[key]]
        if differing:
            raise DatasetError(
                f"{folder}: holds features that were made in another way; these differ: "
                f"{', '.join(differing)}. {advice}"
            )
    else:
        for old in (folder, joined):
            if old.is_dir() and any(not entry.name.startswith(".") for entry in old.iterdir()):
                raise DatasetError(
                    f"{old}: holds features, and no {ORIGIN} that says how they were made. {advice}"
                )
        write_json(folder / ORIGIN, origin)
    for own in (folder, *(bucket for bucket in folder.iterdir() if bucket.is_dir())):
        remove_leftovers(own, "*.pth", "*.pth.tar", "*.json")  # of a run that was killed


def _read_origin(path: Path, advice: str) -> dict[str, Any]:
    """Return the origin in a folder's file."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        return dict(earlier)
    except (OSError, ValueError, TypeError) as error:
        raise DatasetError(f"{path}: damaged ({error}). {advice}") from error
