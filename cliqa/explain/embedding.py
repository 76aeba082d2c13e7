"""A trained model's features of the images that it is tested on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from cliqa.config.trust import built_from
from cliqa.engine.work_dir.checkpoints import load_run
from cliqa.explain.embedding_figure import Embedding
from cliqa.inference.evaluation_data import ScoreData
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.predict import Predictor, find_images
from cliqa.models.backbones.extractor import FeatureExtractor
from cliqa.training.loop.batching import apply_model, collate_eval
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ModelError
from cliqa.utils.memory import InPieces

BATCH = 32


def embed_data_sets(
    predictor: Predictor, data_sets: Sequence[str] = (), samples: int = 400, seed: int = 0
) -> Embedding:
    """Return the features of test images, with their true scores.

    Args:
        predictor: The model with its preprocessing.
        data_sets: Names of the config's data sets, or others as ``TYPE=ROOT``; none for the
            config's.
        samples: Images of each data set, drawn at random where there are more.
        seed: Of the drawing.

    Raises:
        ConfigError: A data set's name is wrong.
        DatasetError: Data are missing.
        ModelError: The model gives classes, or has no features.
    """
    if predictor.classes:
        raise ModelError(
            f"{predictor.checkpoint}: gives classes, whose data have no scores. Give --images: "
            "they are coloured by the probability of the class."
        )
    run = load_run(predictor.checkpoint)
    with built_from(predictor.checkpoint):
        request = EvalRequest(data_sets=data_sets)
        sources = ScoreData(run["config"], request, run["names"], 0).sources
    chosen = {}
    for name, data in sources.items():
        order = np.random.default_rng(seed).permutation(len(data))[:samples]
        chosen[name] = data.select(np.sort(order)).with_transform(predictor.transform)
    features = _features(predictor, chosen)
    scores = np.concatenate([data.scores for data in chosen.values()])
    return Embedding(features, scores, _owners(chosen), list(chosen))


def embed_images(
    predictor: Predictor, paths: Sequence[str], samples: int = 400, seed: int = 0
) -> Embedding:
    """Return the features of image files, with the scores that the model gives them.

    Args:
        predictor: The model with its preprocessing.
        paths: Files and folders; each is a set of its own.
        samples: Images of each set, drawn at random where there are more.
        seed: Of the drawing.

    Raises:
        DatasetError: A path does not exist, or an image cannot be read.
        ModelError: The model has no features.
    """
    chosen: dict[str, _Images] = {}
    for path in paths:
        files = find_images([path])
        order = np.random.default_rng(seed).permutation(len(files))[:samples]
        chosen[Path(path).name] = _Images([files[i] for i in np.sort(order)], predictor.transform)
    features = _features(predictor, chosen)
    files = [file for images in chosen.values() for file in images.files]
    scores = np.array([found.score for found in predictor.predict(files)], dtype=float)
    name = "probability" if predictor.classes else "predicted score"
    return Embedding(features, scores, _owners(chosen), list(chosen), name)


class _Images(Dataset["tuple[torch.Tensor, float]"]):
    """Image files through a transform."""

    def __init__(self, files: Sequence[Path], transform: Callable[..., torch.Tensor]) -> None:
        self.files = files
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
        return self.transform(read_image(self.files[index])), 0.0


def _features(predictor: Predictor, sources: Mapping[str, Any]) -> np.ndarray:
    """Return the features (N, D) of all sets, one after the other; crops are averaged."""
    model = predictor.model
    if not (hasattr(model, "features") or hasattr(model, "extract_feat")):
        raise ModelError(
            f"{type(model).__name__}: has no method 'features' (or 'extract_feat'), so there is no "
            "map of its features. Use a QualityModel, or give the model one."
        )
    extract = InPieces(FeatureExtractor(model))
    found = []
    total = sum(map(len, sources.values()))
    with tqdm(total=total, desc="features", unit="image", leave=False, disable=None) as bar:
        for data in sources.values():
            for batch in DataLoader(data, BATCH, collate_fn=collate_eval):
                vectors = apply_model(extract, batch[0].to(predictor.device))
                found.append(vectors.float().cpu().numpy())
                bar.update(len(vectors))
    return np.concatenate(found)


def _owners(sources: Mapping[str, Any]) -> np.ndarray:
    """Return the index of each image's set, (N,)."""
    return np.repeat(np.arange(len(sources)), [len(data) for data in sources.values()])
