"""Maps of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA  # type: ignore[import-untyped]
from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]

from cliqa.explain.embedding_figure import Embedding, Method, draw_embedding, project
from cliqa.utils.errors import ArtifactError


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
