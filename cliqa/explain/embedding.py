"""A trained model's features of images as a map of points: the features and their figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from cliqa.config.trust import built_from
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.image_listing import find_images
from cliqa.engine.work_dir.checkpoints import load_run
from cliqa.inference.evaluation_data import ScoreData
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.predict import Predictor
from cliqa.models.backbones.extractor import FeatureExtractor
from cliqa.training.loop.batching import apply_model, collate_eval
from cliqa.utils.errors import ArtifactError, ModelError
from cliqa.utils.memory import InPieces
from cliqa.utils.progress import Phase
from cliqa.visualization.style import PAGE, color, marker, new_figure, shortened, styled

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
        sources = ScoreData(run["config"], request, run["names"], 0, run.get("absent", ())).sources
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

    Each file or folder is a set of its own; see `embed_data_sets` for the other arguments.

    Raises:
        DatasetError: A path does not exist, or an image cannot be read.
        ModelError: The model has no features.
    """
    chosen: dict[str, list[Path]] = {}
    for path in paths:
        files = find_images([path])
        order = np.random.default_rng(seed).permutation(len(files))[:samples]
        chosen[Path(path).name] = [files[i] for i in np.sort(order)]
    extract = _extractor(predictor)
    features = torch.cat([predictor.outputs(files, extract).float() for files in chosen.values()])
    files = [file for images in chosen.values() for file in images]
    scores = np.array([found.score for found in predictor.predict(files)], dtype=float)
    name = "probability" if predictor.classes else "predicted score"
    return Embedding(features.numpy(), scores, _owners(chosen), list(chosen), name)


def _extractor(predictor: Predictor) -> FeatureExtractor:
    """Return the model as a network from images to features (B, D)."""
    model = predictor.model
    if not (hasattr(model, "features") or hasattr(model, "extract_feat")):
        raise ModelError(
            f"{type(model).__name__}: has no method 'features' (or 'extract_feat'), so there is no "
            "map of its features. Use a QualityModel, or give the model one."
        )
    return FeatureExtractor(model)


def _features(predictor: Predictor, sources: Mapping[str, QualityDataset]) -> np.ndarray:
    """Return the features (N, D) of all data sets, one after the other; crops are averaged."""
    extract = InPieces(_extractor(predictor))
    found = []
    total = sum(map(len, sources.values()))
    with Phase("features", total, "image") as bar:
        for data in sources.values():
            for batch in DataLoader(data, BATCH, collate_fn=collate_eval):
                vectors = apply_model(extract, batch[0].to(predictor.device))
                found.append(vectors.float().cpu().numpy())
                bar.update(len(vectors))
    return np.concatenate(found)


def _owners(sources: Mapping[str, Sized]) -> np.ndarray:
    """Return the index of each image's set, (N,)."""
    return np.repeat(np.arange(len(sources)), [len(data) for data in sources.values()])


Method = Literal["tsne", "pca"]
PERPLEXITY = 30.0
LEAST = 4
"""Fewer points than this are no map."""


@dataclass(frozen=True)
class Embedding:
    """Features of the images of several sets.

    Attributes:
        features: (N, D).
        score: (N,), 0..1, higher = better.
        owner: (N,), the index of each image's set.
        names: The sets' names.
        score_name: The label of the colour bar.
    """

    features: np.ndarray
    score: np.ndarray
    owner: np.ndarray
    names: Sequence[str]
    score_name: str = "true score"


def project(features: np.ndarray, method: Method, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return features as points of a plane, with the names of its axes.

    Args:
        features: (N, D).
        method: ``"pca"``, the two directions of most variance; or ``"tsne"`` (van der Maaten &
            Hinton, JMLR 2008), which keeps neighbours together: its distances and the sizes of
            its clusters say nothing.
        seed: Of t-SNE; it starts from the PCA.

    Returns:
        (N, 2), and two names.

    Raises:
        ArtifactError: There are too few images, or a feature is not finite.
    """
    if len(features) < LEAST:
        raise ArtifactError(f"{len(features)} images: a map of features needs {LEAST} or more.")
    if not np.isfinite(features).all():
        raise ArtifactError("the features are no finite numbers: the training has diverged.")
    centred = features.astype(np.float64) - features.mean(axis=0)
    if method == "pca":
        return _pca(centred)
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]  # noqa: PLC0415  slow

    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    place = f"t-SNE (perplexity {perplexity:.3g}), axis"
    return tsne.fit_transform(centred.astype(np.float32)), [f"{place} 1", f"{place} 2"]


def _pca(centred: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the first two principal components of centred features (N, D)."""
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    share = sizes**2 / max(float(np.sum(sizes**2)), np.finfo(float).tiny)
    signs = np.sign(right[np.arange(len(sizes)), np.abs(right).argmax(axis=1)])  # as sklearn's
    points = np.zeros((len(centred), 2))
    shares = np.zeros(2)
    kept = min(2, len(sizes))
    points[:, :kept] = (left * sizes * signs)[:, :kept]
    shares[:kept] = share[:kept]
    return points, [
        f"component {k + 1} ({100 * s:.0f} % of variance)" for k, s in enumerate(shares)
    ]


@styled
def draw_embedding(embedding: Embedding, method: Method = "tsne", seed: int = 0) -> Figure:
    """Draw a map of features twice: coloured by score, and by data set.

    Raises:
        ArtifactError: There are too few images, or a feature is not finite.
    """
    points, names = project(embedding.features, method, seed)
    figure = new_figure(PAGE, 3.5)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    size = float(np.clip(400 / np.sqrt(len(points)), 5, 18))
    order = np.random.default_rng(seed).permutation(len(points))  # no set lies on top of another
    low, high = float(embedding.score.min()), float(embedding.score.max())
    drawn = left.scatter(
        points[order, 0],
        points[order, 1],
        c=embedding.score[order],
        cmap="viridis",
        vmin=low,
        vmax=high,
        s=size,
        linewidths=0,
        rasterized=True,
    )
    bar = figure.colorbar(drawn, ax=left, location="right", shrink=0.7, aspect=22, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(f"{embedding.score_name} (higher is better)")
    for index in range(len(embedding.names)):
        _draw_set(right, embedding, points, index, size)
    left.set_title(f"by score, n = {len(points)}", loc="left")
    right.set_title("by data set", loc="left")
    figure.legend(loc="outside lower center", ncols=4)
    for axes in (left, right):
        axes.set_xlabel(names[0])
        axes.set_box_aspect(1)
        if method == "tsne":
            axes.set(xticks=[], yticks=[])
    left.set_ylabel(names[1])
    return figure


def _draw_set(
    axes: Axes, embedding: Embedding, points: np.ndarray, index: int, size: float
) -> None:
    """Draw the points of one data set."""
    own = points[embedding.owner == index]
    axes.scatter(
        own[:, 0],
        own[:, 1],
        color=color(index),
        marker=marker(index),
        s=size,
        alpha=0.75,
        linewidths=0,
        rasterized=True,
        label=f"{shortened(embedding.names[index], 18)} ({len(own)})",
    )
