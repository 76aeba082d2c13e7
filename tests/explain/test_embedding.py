"""Features of test images."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]
from torch import nn

from cliqa.explain.embedding import (
    Embedding,
    Method,
    draw_embedding,
    embed_data_sets,
    embed_images,
    project,
)
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ArtifactError, ModelError


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


def clusters(count: int = 20) -> Embedding:
    """Two sets of images far apart, with scores."""
    random = np.random.default_rng(0)
    features = random.normal(size=(2 * count, 5))
    features[count:] += 20
    owner = np.repeat([0, 1], count)
    return Embedding(features, random.random(2 * count), owner, ["koniq", "spaq"])


def test_pca_is_that_of_scikit_learn() -> None:
    features = clusters().features
    points, names = project(features, "pca")
    reference = PCA(2)
    np.testing.assert_allclose(points, reference.fit_transform(features), atol=1e-9)
    shares = reference.explained_variance_ratio_
    assert names == [f"component {k + 1} ({100 * shares[k]:.0f} % of variance)" for k in range(2)]


def test_features_of_one_number_have_a_second_axis_of_zeros() -> None:
    points, names = project(np.arange(6.0)[:, None], "pca")
    assert points[:, 1].tolist() == [0] * 6
    assert names == ["component 1 (100 % of variance)", "component 2 (0 % of variance)"]


def test_tsne_keeps_sets_apart_and_is_reproducible() -> None:
    data = clusters()
    points, names = project(data.features, "tsne", seed=3)
    assert silhouette_score(points, data.owner) > 0.5
    assert names[0] == "t-SNE (perplexity 13), axis 1"  # 39 / 3
    np.testing.assert_array_equal(points, project(data.features, "tsne", seed=3)[0])


def test_two_panels_show_scores_and_sets() -> None:
    data = clusters()
    figure = draw_embedding(data, "pca")
    left, right = figure.axes[:2]
    points, _ = project(data.features, "pca")
    drawn: Any = left.collections[0]
    order = np.lexsort(drawn.get_offsets().T)
    np.testing.assert_allclose(drawn.get_offsets()[order], points[np.lexsort(points.T)])
    np.testing.assert_allclose(drawn.get_array()[order], data.score[np.lexsort(points.T)])
    sets: list[Any] = list(right.collections)
    for index, found in enumerate(sets):
        np.testing.assert_allclose(found.get_offsets(), points[data.owner == index])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["koniq (20)", "spaq (20)"]
    assert left.get_title(loc="left") == "by score, n = 40"


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_what_is_no_map_is_said(method: Method) -> None:
    with pytest.raises(ArtifactError, match="3 images: a map of features needs 4 or more"):
        project(np.zeros((3, 2)), method)
    with pytest.raises(ArtifactError, match="the features are no finite numbers"):
        project(np.full((5, 2), np.nan), method)
