"""The figures of ``cliqa visualize`` that need a trained model, written to files.

Legend of all functions: `predictor` is the model with its preprocessing, `images` are files and
folders, and `target` is where to write. The other options are those of the functions that compute
what is drawn. They raise a `CliqaError` if the model, an image or an option is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cliqa.datasets.image_listing import find_images
from cliqa.explain import attention_figure
from cliqa.explain.attention import explain
from cliqa.explain.embedding import Method, draw_embedding, embed_data_sets, embed_images
from cliqa.explain.ranking import draw_ranking, draw_strip, rank_degradations
from cliqa.explain.words import draw_words, explain_words
from cliqa.inference.predict import Predictor
from cliqa.utils.progress import track
from cliqa.visualization.modes import Target


def save_attention(
    predictor: Predictor, images: Sequence[str], target: Target, layer: str | None = None
) -> list[Path]:
    """Draw where a model looks: ``attention``, ``attention_2`` ... of a few images each."""
    found = [explain(predictor, path, layer) for path in _images(images, "attention")]
    figures = {}
    rows = attention_figure.MOST_ROWS
    for number, start in enumerate(range(0, len(found), rows), start=1):
        name = "attention" if number == 1 else f"attention_{number}"
        figures[name] = attention_figure.draw_attention(found[start : start + rows])
    return target.save(figures, [predictor.checkpoint])


def save_words(predictor: Predictor, images: Sequence[str], target: Target) -> list[Path]:
    """Draw where the words of the most likely candidates look: ``words_1`` ..., one an image."""
    figures = {}
    for number, path in enumerate(_images(images, "words"), start=1):
        image, found = explain_words(predictor, path)
        figures[f"words_{number}"] = draw_words(image, path.name, found)
    return target.save(figures, [predictor.checkpoint])


def save_ranking(
    predictor: Predictor,
    images: Sequence[str],
    target: Target,
    kinds: Sequence[str] = ("blur", "jpeg", "noise"),
    levels: int = 5,
) -> list[Path]:
    """Draw every image's degraded versions with their scores, and from two images on the means."""
    found = [
        rank_degradations(predictor, path, kinds, levels) for path in _images(images, "ranking")
    ]
    figures = {f"ranking_{n}": draw_strip(each) for n, each in enumerate(found, start=1)}
    if len(found) > 1:
        figures["ranking"] = draw_ranking([ladder for each in found for ladder in each])
    return target.save(figures, [predictor.checkpoint])


def save_embedding(
    predictor: Predictor,
    target: Target,
    *,
    images: Sequence[str] = (),
    data_sets: Sequence[str] = (),
    method: Method = "tsne",
    samples: int = 400,
) -> list[Path]:
    """Draw a model's features as a map: ``embedding_tsne`` or ``embedding_pca``."""
    if images:
        found = embed_images(predictor, images, samples)
    else:
        found = embed_data_sets(predictor, data_sets, samples)
    figure = draw_embedding(found, method)
    return target.save({f"embedding_{method}": figure}, [predictor.checkpoint])


def _images(paths: Sequence[str], title: str) -> Iterator[Path]:
    """Yield the images of files and folders with a progress bar over them."""
    yield from track(find_images(paths), title, unit="image")
