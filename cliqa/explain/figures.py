"""Figures that need the trained model: attention, rankings, maps of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from cliqa.explain import attention_figure as attention
from cliqa.explain import embedding_figure as embedding
from cliqa.explain import ranking_figure as ranking
from cliqa.explain import words_figure as words
from cliqa.explain.attention import explain
from cliqa.explain.embedding import embed_data_sets, embed_images
from cliqa.explain.ranking import rank_degradations
from cliqa.explain.words import explain_words
from cliqa.inference.predict import Predictor, find_images
from cliqa.visualization.modes import Target


def draw_attention(
    checkpoint: Path,
    images: Sequence[str],
    target: Target,
    device: torch.device,
    layer: str | None = None,
) -> list[Path]:
    """Draw where a model looks: ``attention``, ``attention_2`` ... of a few images each.

    Args:
        checkpoint: A checkpoint or a work_dir.
        images: Files and folders.
        target: Where to write.
        device: Where to compute.
        layer: A module of the model; see `explain`.

    Raises:
        CliqaError: The checkpoint, an image or the layer is wrong.
    """
    paths = find_images(images)
    predictor = Predictor(checkpoint, device)
    found = [explain(predictor, path, layer) for path in _shown(paths, "attention")]
    figures = {}
    for number, start in enumerate(range(0, len(found), attention.MOST_ROWS), start=1):
        name = "attention" if number == 1 else f"attention_{number}"
        figures[name] = attention.draw_attention(found[start : start + attention.MOST_ROWS])
    return target.save(figures, [checkpoint])


def draw_words(
    checkpoint: Path, images: Sequence[str], target: Target, device: torch.device
) -> list[Path]:
    """Draw where the words of the most likely candidates look: ``words_1`` ..., one an image.

    Args:
        checkpoint: A checkpoint or a work_dir of a `FusionModel`.
        images: Files and folders.
        target: Where to write.
        device: Where to compute.

    Raises:
        CliqaError: The checkpoint or an image is wrong, or the model has no such words.
    """
    paths = find_images(images)
    predictor = Predictor(checkpoint, device)
    figures = {}
    for number, path in enumerate(_shown(paths, "words"), start=1):
        image, found = explain_words(predictor, path)
        figures[f"words_{number}"] = words.draw_words(image, path.name, found)
    return target.save(figures, [checkpoint])


def draw_ranking(
    checkpoint: Path,
    images: Sequence[str],
    target: Target,
    device: torch.device,
    kinds: Sequence[str] = ("blur", "jpeg", "noise"),
    levels: int = 5,
) -> list[Path]:
    """Draw every image's versions with their scores, and from two images on their means.

    Args:
        checkpoint: A checkpoint or a work_dir.
        images: Files and folders.
        target: Where to write ``ranking_1`` ... and ``ranking``.
        device: Where to compute.
        kinds: Distortions; see `rank_degradations`.
        levels: Degraded versions.

    Raises:
        CliqaError: The checkpoint, an image or a distortion is wrong.
    """
    paths = find_images(images)
    predictor = Predictor(checkpoint, device)
    found = [rank_degradations(predictor, path, kinds, levels) for path in _shown(paths, "ranking")]
    figures = {f"ranking_{n}": ranking.draw_strip(each) for n, each in enumerate(found, start=1)}
    if len(found) > 1:
        every = [ladder for each in found for ladder in each]
        figures["ranking"] = ranking.draw_ranking(every)
    return target.save(figures, [checkpoint])


def draw_embedding(
    checkpoint: Path,
    target: Target,
    device: torch.device,
    *,
    images: Sequence[str] = (),
    data_sets: Sequence[str] = (),
    method: embedding.Method = "tsne",
    samples: int = 400,
) -> list[Path]:
    """Draw a model's features as a map: ``embedding_tsne`` or ``embedding_pca``.

    Args:
        checkpoint: A checkpoint or a work_dir.
        target: Where to write.
        device: Where to compute.
        images: Files and folders to take in place of data sets; see `embed_images`.
        data_sets: See `embed_data_sets`.
        method: ``"tsne"`` or ``"pca"``.
        samples: Images of each set.

    Raises:
        CliqaError: The checkpoint, the data or the images are wrong.
    """
    predictor = Predictor(checkpoint, device)
    if images:
        found = embed_images(predictor, images, samples)
    else:
        found = embed_data_sets(predictor, data_sets, samples)
    figure = embedding.draw_embedding(found, method)
    return target.save({f"embedding_{method}": figure}, [checkpoint])


def _shown(paths: Sequence[Path], what: str) -> Iterator[Path]:
    """Yield the paths with a progress bar over them."""
    yield from tqdm(paths, desc=what, unit="image", leave=False, disable=None)
