"""Features of test images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.explain.embedding import embed_data_sets, embed_images
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ModelError


@pytest.fixture(scope="module")
def predictor(tiny_run: Path) -> Predictor:
    """Return the shared run's model."""
    return Predictor(tiny_run, torch.device("cpu"))


def test_features_of_the_test_images(predictor: Predictor) -> None:
    found = embed_data_sets(predictor)
    assert found.names == ["a", "b", "c"]
    assert found.owner.tolist() == [0] * 12 + [1] * 12 + [2] * 12  # 30 % of 40
    assert found.features.shape == (36, 32)
    assert found.score_name == "true score"
    model: Any = predictor.model
    with torch.no_grad():  # the head is linear, so the scores follow from the features
        scores = model.head((torch.from_numpy(found.features),)).flatten()
    assert scores.std() > 0


def test_fewer_images_are_drawn_with_their_own_scores(predictor: Predictor) -> None:
    every = embed_data_sets(predictor, ["b"])
    some = embed_data_sets(predictor, ["b"], samples=5)
    assert len(some.features) == len(some.score) == 5
    for vector, score in zip(some.features, some.score, strict=True):
        place = int(np.abs(every.features - vector).sum(axis=1).argmin())
        np.testing.assert_allclose(every.features[place], vector, atol=1e-5)
        assert every.score[place] == score


def test_folders_of_images_have_predicted_scores(predictor: Predictor, tiny_data: Path) -> None:
    found = embed_images(predictor, [str(tiny_data / "a"), str(tiny_data / "c" / "c00.png")])
    assert found.names == ["a", "c00.png"]
    assert np.bincount(found.owner).tolist() == [40, 1]
    assert found.score_name == "predicted score"
    (last,) = predictor.predict([tiny_data / "c" / "c00.png"])
    assert found.score[-1] == pytest.approx(last.score)


def test_models_without_features_are_named(predictor: Predictor, tiny_data: Path) -> None:
    plain: Any = SimpleNamespace(
        model=nn.Flatten(), transform=predictor.transform, device=predictor.device, classes=[]
    )
    with pytest.raises(ModelError, match="Flatten: has no method 'features'"):
        embed_images(plain, [str(tiny_data / "a")])
    classifier: Any = SimpleNamespace(classes=["cat"], checkpoint="last.pth")
    with pytest.raises(ModelError, match=r"last\.pth: gives classes, whose data have no scores"):
        embed_data_sets(classifier)
