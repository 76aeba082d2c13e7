"""Zero-shot and few-shot tests: a model of images and texts on candidates it was not trained on.

Legend: N images, K candidates, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cliqa.datasets.labels.scale import Scale
from cliqa.evaluation.classification import accuracy, wilson_interval
from cliqa.evaluation.functional import srcc
from cliqa.evaluation.mean_interval import mean_interval
from cliqa.evaluation.quality import quality_metrics
from cliqa.evaluation.records.table_styles import Table, render
from cliqa.evaluation.records.tables import number
from cliqa.inference.predict import Predictor
from cliqa.inference.unseen_data import (
    Unseen,
    embed_paths,
    image_text_model,
    read_unseen,
)
from cliqa.models.language.fusion_model import FusionModel
from cliqa.models.language.image_text_model import ImageTextModel, blend_prototypes
from cliqa.utils.errors import DatasetError
from cliqa.utils.seed import generator

Row = dict[str, Any]

LEGENDS = {
    "Wilson": "Wilson's interval of a share",
    "bootstrap": "bootstrap over images",
    "seeds": "Student's interval of the mean over seeds",
}
"""The kinds of intervals, by the name in a row."""


@torch.no_grad()
def few_shot(
    predictor: Predictor,
    data: str,
    texts: str | None = None,
    shots: Sequence[int] = (0,),
    seeds: Sequence[int] = (0, 1, 2),
    text_weight: float = 1.0,
    scale: Scale | None = None,
) -> list[Row]:
    """Measure a model on candidates that it has not been trained on.

    Without shots the candidates are their texts alone, and all images are tested. With k shots a
    candidate is blended with labelled images (`blend_prototypes`): k of each class, or k K images
    with scores, each of which belongs to the two levels next to its score. For each seed as many as
    the most shots take are set aside, and the rest is tested.

    A `FusionModel` without shots answers by its words, as it does everywhere. Images cannot be
    blended with words, so its shots go by the vectors of whole images and texts, which the loss of
    ``TextReplay`` alone has trained.

    Args:
        predictor: The trained model with its preprocessing; it has the new texts afterwards.
        data: As `read_unseen`.
        texts: As `read_unseen`.
        shots: Numbers k.
        seeds: Draws of the images.
        text_weight: How many images a text counts as.
        scale: As `read_unseen`.

    Returns:
        A row for each k: ``shots``, ``images`` (tested), ``measure``, ``value``, ``interval`` and
        its ``kind``, ``by`` (``"words"`` or ``"vectors"``), ``chance``.

    Raises:
        CliqaError: The model, the texts or the data are wrong.
    """
    model = image_text_model(predictor)
    unseen = read_unseen(data, model, texts, scale)
    drawn = {seed: draw(unseen, max(shots), seed) for seed in seeds} if max(shots) else {}
    model.use_texts(unseen.texts)
    prototypes = model.prototypes().cpu()  # (K, D)
    vectors = embed_paths(predictor, model, unseen.paths)  # (N, D)
    rows = []
    for k in shots:
        if k == 0:
            by_words = isinstance(model, FusionModel)
            outputs = (
                predictor.outputs(unseen.paths, model).numpy()
                if by_words
                else _answers(model, vectors, prototypes)
            )
            rows.append(_row(0, unseen, [(outputs, torch.arange(len(vectors)))], by_words))
            continue
        tests = []
        for order in drawn.values():
            support, rest = order[:, :k].flatten(), _rest(len(vectors), order)
            blend = blend_prototypes(
                prototypes, vectors[support], unseen.shares[support], text_weight
            )
            tests.append((_answers(model, vectors[rest], blend), rest))
        rows.append(_row(k, unseen, tests))
    return rows


def draw(unseen: Unseen, shots: int, seed: int) -> Tensor:
    """Return images to learn candidates from, (K, shots): of classes a line has its own class's.

    Raises:
        DatasetError: There are too few to leave one for the test.
    """
    random = generator(seed, "few shots")
    count = len(unseen.texts)
    if unseen.has_scores:
        if count * shots >= len(unseen.paths):
            raise DatasetError(
                f"--shots {shots}: takes {count * shots} of {len(unseen.paths)} images and leaves "
                "none to test. Give fewer shots."
            )
        order = torch.randperm(len(unseen.paths), generator=random)[: count * shots]
        return order.view(shots, count).T
    lines = []
    for index, name in enumerate(unseen.texts.names):
        own = torch.nonzero(unseen.targets == index).flatten()
        if len(own) <= shots:
            raise DatasetError(
                f"--shots {shots}: class '{name}' has {len(own)} images, and one at least must be "
                "left to test. Give fewer shots."
            )
        lines.append(own[torch.randperm(len(own), generator=random)[:shots]])
    return torch.stack(lines)


def _rest(count: int, taken: Tensor) -> Tensor:
    """Return the images that were not taken."""
    free = torch.ones(count, dtype=torch.bool)
    free[taken.flatten()] = False
    return free.nonzero().flatten()


def _answers(model: ImageTextModel, vectors: Tensor, prototypes: Tensor) -> np.ndarray:
    """Return logits (N, K), or scores (N,), of vectors (N, D)."""
    scale = model.head.scale.cpu()
    return model.answers(scale * vectors @ prototypes.T).numpy()


def _row(
    shots: int,
    unseen: Unseen,
    tests: Sequence[tuple[np.ndarray, Tensor]],
    by_words: bool = False,
) -> Row:
    """Return the row of one number of shots, of one draw or several."""
    pairs = [(outputs, unseen.targets[places].numpy()) for outputs, places in tests]
    value, interval, kind = _summary(pairs, unseen.has_scores)
    return {
        "shots": shots,
        "images": len(pairs[0][1]),
        "measure": "srcc" if unseen.has_scores else "accuracy",
        "value": value,
        "interval": None if interval is None or None in interval else list(interval),
        "kind": kind,
        "by": "words" if by_words else "vectors",
        "chance": 0.0 if unseen.has_scores else 1 / len(unseen.texts),
    }


def _summary(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], of_scores: bool
) -> tuple[float | None, Sequence[float | None] | None, str]:
    """Return the measure of one test or the mean of several, its interval, and of which kind."""
    values = [srcc(*pair) if of_scores else accuracy(*pair) for pair in pairs]
    if len(values) > 1:
        defined = [value for value in values if value is not None]
        mean, *band = mean_interval(defined if len(defined) == len(values) else [])
        return mean, band, "seeds"
    value, (outputs, target) = values[0], pairs[0]
    if of_scores:
        band_of = quality_metrics(outputs, target).to_row()["interval"]
        return value, band_of["srcc"], "bootstrap"
    correct = round((value or 0.0) * len(target))
    return value, wilson_interval(correct, len(target)), "Wilson"


def few_shot_table(rows: Sequence[Row], source: Path) -> str:
    """Return the rows as text."""
    of_classes = rows[0]["measure"] == "accuracy"
    cells = tuple(
        (
            str(row["shots"]),
            str(row["images"]),
            number(row["value"]),
            f"{number(row['interval'][0])}..{number(row['interval'][1])}"
            if row["interval"]
            else "n/a",
            row["kind"],
            number(row["chance"]),
        )
        for row in rows
    )
    head = ("shots", "images", "accuracy" if of_classes else "SRCC", "95 %", "of", "chance")
    kinds = dict.fromkeys(row["kind"] for row in rows)
    legend = "".join(f"{kind}: {LEGENDS[kind]}\n" for kind in kinds)
    if len({row["by"] for row in rows}) > 1:
        legend += "0 shots: by the words; more: by vectors of whole images and texts\n"
    return render(Table(f"{source}: candidates it was not trained on", head, cells)) + legend
