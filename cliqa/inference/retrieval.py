"""Cross-modal retrieval: images by a text, and texts by an image.

Legend: N images, T texts, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.evaluation.classification import wilson_interval
from cliqa.evaluation.records.tables import Table, number, render
from cliqa.evaluation.retrieval import chance_at_k, ranks
from cliqa.inference.predict import Predictor
from cliqa.inference.unseen_data import embed_paths, image_text_model, read_unseen
from cliqa.models.language.fusion_model import FusionModel
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

Row = dict[str, Any]


@dataclass(frozen=True)
class Pairs:
    """Images and texts, and which belong together.

    Attributes:
        paths: The N images.
        texts: The T texts, each once.
        belong: (N, T), bool.
    """

    paths: list[Path]
    texts: tuple[str, ...]
    belong: np.ndarray


def read_pairs(data: str, model: ImageTextModel, texts: str | None = None) -> Pairs:
    """Read images and their texts.

    Args:
        data: ``FILE=IMAGE_ROOT``, a csv file with the columns ``image`` and ``text`` (an image may
            have several rows); or a folder with a folder of images for each class, whose texts are
            its prompts.
        model: The model.
        texts: Of classes: a name or a file of texts; see `read_unseen`.

    Raises:
        ConfigError: The texts do not fit the folder.
        DatasetError: The file is wrong, or an image is missing.
    """
    file, equals, root = data.partition("=")
    if not equals:
        found = read_unseen(data, model, texts)
        owners = np.array(found.texts.owners)  # (T,) the class of each prompt
        belong = found.targets.numpy()[:, None] == owners[None]
        return Pairs(list(found.paths), found.texts.flat, belong)
    sheet = read_csv(home_path(file), ("image", "text"))
    images, captions = sheet.text("image"), sheet.text("text")
    names, known = list(dict.fromkeys(images)), tuple(dict.fromkeys(captions))
    paths = [home_path(root) / name for name in names]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise DatasetError(f"{file}: no image {missing}. Give the images' folder: {file}=FOLDER.")
    belong = np.zeros((len(names), len(known)), dtype=bool)
    rows = {name: k for k, name in enumerate(names)}
    columns = {text: k for k, text in enumerate(known)}
    for image, text in zip(images, captions, strict=True):
        belong[rows[image], columns[text]] = True
    return Pairs(paths, known, belong)


@torch.no_grad()
def similarity(predictor: Predictor, paths: Sequence[Path], texts: Sequence[str]) -> Tensor:
    """Return how similar images and texts are, (N, T), on the CPU.

    Of two towers it is the cosine in their common space; of a `FusionModel` the fit of the text's
    words to the image's regions.

    Raises:
        DatasetError: An image cannot be read.
        ModelError: The model knows no texts, or a text is too long for it.
    """
    model = image_text_model(predictor)
    if isinstance(model, FusionModel):
        words = model.text_encoder.words(texts)
        return predictor.outputs(paths, lambda x: model.head(model.regions(x), *words))
    vectors = model.head.embed_text(model.text_encoder.encode(texts)).cpu()  # (T, D)
    return embed_paths(predictor, model, paths) @ vectors.T


def retrieval(predictor: Predictor, pairs: Pairs, ks: Sequence[int] = (1, 5, 10)) -> list[Row]:
    """Measure the retrieval of texts by images and of images by texts.

    Args:
        predictor: The trained model with its preprocessing.
        pairs: Images and texts.
        ks: Numbers of answers.

    Returns:
        A row per direction and k: ``direction``, ``k``, ``queries``, ``items``, ``recall``,
        ``interval`` (Wilson's, 95 %), ``chance``.

    Raises:
        CliqaError: The model or the data are wrong.
    """
    found = similarity(predictor, pairs.paths, pairs.texts).double().numpy()  # (N, T)
    rows = []
    for direction, values, belong in (
        ("image -> text", found, pairs.belong),
        ("text -> image", found.T, pairs.belong.T),
    ):
        places = ranks(values, belong)
        for k in ks:
            hits = int((places <= k).sum())
            rows.append(
                {
                    "direction": direction,
                    "k": k,
                    "queries": len(places),
                    "items": belong.shape[1],
                    "recall": hits / len(places),
                    "interval": list(wilson_interval(hits, len(places))),
                    "chance": chance_at_k(belong, k),
                }
            )
    return rows


def search(
    predictor: Predictor, query: str, paths: Sequence[Path], top: int = 5
) -> list[tuple[Path, float]]:
    """Return the images that fit a text best, with their similarities, the best first.

    Raises:
        CliqaError: The model knows no texts, or an image cannot be read.
    """
    values = similarity(predictor, paths, [query])[:, 0]
    order = values.argsort(descending=True, stable=True)[:top].tolist()
    return [(paths[k], float(values[k])) for k in order]


def retrieval_table(rows: Sequence[Row], source: Path) -> str:
    """Return the rows as text."""
    cells = tuple(
        (
            row["direction"],
            str(row["k"]),
            number(row["recall"]),
            f"{number(row['interval'][0])}..{number(row['interval'][1])}",
            number(row["chance"]),
            f"{row['queries']} / {row['items']}",
        )
        for row in rows
    )
    head = ("direction", "k", "recall@k", "95 %", "chance", "queries / items")
    return render(Table(f"{source}: retrieval", head, cells))
