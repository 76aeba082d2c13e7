"""Which images are chosen for labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.inference.labelling.image_choice import images_to_label, looks, uncertainty
from cliqa.inference.predict import Predictor
from cliqa.training.views.gate import pooled_features
from cliqa.utils.errors import ConfigError


@pytest.fixture
def predictor(tiny_run: Path) -> Predictor:
    """Return a trained model."""
    return Predictor(tiny_run, torch.device("cpu"))


@pytest.fixture
def paths(tiny_data: Path) -> list[Path]:
    """Return 40 images."""
    return sorted((tiny_data / "a").glob("*.png"))


def test_looks_are_corners_and_their_mirror_images() -> None:
    image = torch.arange(64.0).view(1, 1, 8, 8)
    found = looks(image)
    assert [tuple(one.shape) for one in found] == [(1, 1, 7, 7)] * 8
    assert [float(one[0, 0, 0, 0]) for one in found] == [0, 1, 8, 9, 6, 7, 14, 15]


def test_the_chosen_cover_the_others(predictor: Predictor, paths: list[Path]) -> None:
    def radius(chosen: list[Path]) -> float:
        with torch.no_grad():
            every, own = (
                predictor.outputs(files, lambda x: pooled_features(predictor.model, x))
                for files in (paths, chosen)
            )
        return float(torch.cdist(every, own).amin(1).max())

    covering = images_to_label(predictor, paths, 6)
    drawn = [images_to_label(predictor, paths, 6, "random", seed=seed) for seed in range(5)]
    assert radius(covering) < min(radius(one) for one in drawn)
    assert covering == images_to_label(predictor, paths[::-1], 6)
    assert covering[:3] == images_to_label(predictor, paths, 3)


def test_labelled_images_are_covered_and_not_chosen(
    predictor: Predictor, paths: list[Path]
) -> None:
    first = images_to_label(predictor, paths, 6)
    then = images_to_label(predictor, paths, 3, labelled=first[:3])
    assert then == first[3:]


def test_the_unsure_come_first(predictor: Predictor, paths: list[Path]) -> None:
    with torch.no_grad():
        values = dict(zip(paths, uncertainty(predictor, paths).tolist(), strict=True))
    chosen = images_to_label(predictor, paths, 5, "uncertainty")
    assert [values[path] for path in chosen] == sorted(values.values(), reverse=True)[:5]
    scores = torch.stack([predictor.image_model(one) for one in looks(torch.rand(2, 3, 16, 16))])
    assert scores.shape == (8, 2)


def test_more_than_there_are_gives_all(predictor: Predictor, paths: list[Path]) -> None:
    assert sorted(images_to_label(predictor, paths[:4], 9, "random")) == paths[:4]
    assert images_to_label(predictor, paths, 5, "random") != images_to_label(
        predictor, paths, 5, "random", seed=1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be an integer >= 1"),
        ({"count": 2, "by": "coverag"}, "by must be one of 'coverage', .*Did you mean"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: dict[str, Any], message: str, predictor: Predictor, paths: list[Path]
) -> None:
    with pytest.raises(ConfigError, match=message):
        images_to_label(predictor, paths, **arguments)
    with pytest.raises(ConfigError, match="no image is left to choose from"):
        images_to_label(predictor, paths[:2], 1, labelled=paths[:2])
