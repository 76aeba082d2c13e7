"""Scores at rising degradation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from cliqa.evaluation.mean_interval import mean_interval
from cliqa.explain.ranking import SHOWN, Ladder, draw_ranking, draw_strip, rank_degradations
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError
from cliqa.visualization.style import PAGE


def test_scores_are_those_of_the_versions(tiny_run: Path, tiny_data: Path) -> None:
    predictor = Predictor(tiny_run, torch.device("cpu"))
    path = tiny_data / "a" / "a00.png"
    blur, noise = rank_degradations(predictor, path, ["blur", "noise"], levels=3)
    assert (blur.name, blur.kind, noise.kind) == ("a00.png", "blur", "noise")
    assert len(blur.images) == len(blur.scores) == 4
    assert blur.scores[0] == pytest.approx(next(predictor.predict([path])).score, abs=1e-6)
    for image, score in zip(noise.images, noise.scores, strict=True):
        expected = predictor.score(torch.from_numpy(image.transpose(2, 0, 1).copy()))
        assert score == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("kind", ["blur", "jpeg", "noise"])
def test_every_level_is_farther_from_the_image(kind: str, tiny_run: Path, tmp_path: Path) -> None:
    predictor = Predictor(tiny_run, torch.device("cpu"))
    grain = np.random.default_rng(0).normal(size=(96, 96, 3))
    smooth = ndimage.gaussian_filter(grain, (2, 2, 0))
    pixels = (127 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (ladder,) = rank_degradations(predictor, tmp_path / "photo.png", [kind])
    first = ladder.images[0].astype(float)
    errors = [np.mean((image - first) ** 2) for image in ladder.images]
    assert errors[0] == 0
    assert errors == sorted(errors)
    again = rank_degradations(predictor, tmp_path / "photo.png", [kind])[0]
    np.testing.assert_array_equal(again.scores, ladder.scores)


def test_mistakes_are_named(tiny_run: Path, tiny_data: Path) -> None:
    path = tiny_data / "a" / "a00.png"
    predictor = Predictor(tiny_run, torch.device("cpu"))
    with pytest.raises(ConfigError, match=r"unknown degradation 'blurr'\. Did you mean 'blur'"):
        rank_degradations(predictor, path, ["blurr"])
    classifier: Any = SimpleNamespace(classes=["cat"], checkpoint="last.pth")
    with pytest.raises(ModelError, match=r"last\.pth: gives classes, and a ranking needs scores"):
        rank_degradations(classifier, path, ["blur"])


def ladder(scores: Sequence[float], name: str = "a.png", kind: str = "blur") -> Ladder:
    """A ladder of small images."""
    images = [np.full((6, 8, 3), 10 * level, np.uint8) for level in range(len(scores))]
    return Ladder(name, kind, images, np.array(scores))


@pytest.mark.parametrize(
    ("scores", "share"),
    [([0.9, 0.5, 0.1], 1), ([0.1, 0.5, 0.9], 0), ([0.5, 0.5, 0.5], 0.5), ([0.9, 0.1, 0.5], 2 / 3)],
)
def test_share_of_pairs_in_order(scores: list[float], share: float) -> None:
    assert ladder(scores).ordered == pytest.approx(share)


def test_a_strip_has_a_panel_a_version_and_a_curve_a_distortion() -> None:
    figure = draw_strip([ladder([0.9, 0.5, 0.1]), ladder([0.9, 0.8, 0.7], kind="jpeg")])
    assert len(figure.axes) == 2 * 4
    first, second = figure.axes[:4], figure.axes[4:]  # three versions and the curve
    assert [axes.get_xlabel() for axes in first[:3]] == ["0.900", "0.500", "0.100"]
    assert [axes.get_title() for axes in first[:3]] == ["as it is", "level 1", "level 2"]
    assert [row[0].get_ylabel() for row in (first, second)] == ["blur", "jpeg"]
    curve: Any = second[3].lines[0]
    assert curve.get_ydata().tolist() == [0.9, 0.8, 0.7]
    assert second[3].get_title() == "jpeg: 100 % of pairs in order"


def test_versions_are_as_wide_as_the_page_allows() -> None:
    figure = draw_strip([ladder([0.9, 0.5, 0.4, 0.3, 0.2, 0.1])])
    figure.draw_without_rendering()
    image = figure.axes[0].get_position()
    assert image.width * PAGE > 0.85 * PAGE / 6


def test_a_strip_shows_the_middle_at_full_size() -> None:
    large = np.zeros((SHOWN + 10, SHOWN + 50, 3), np.uint8)
    large[5, 25] = 255
    figure = draw_strip([Ladder("a.png", "blur", [large, large], np.array([0.5, 0.4]))])
    shown: Any = figure.axes[0].images[0].get_array()
    assert shown.shape == (SHOWN, SHOWN, 3)
    assert shown[0, 0].tolist() == [255, 255, 255]


def test_of_a_few_images_each_has_a_curve() -> None:
    ladders = [ladder([0.9, 0.5], "a.png"), ladder([0.3, 0.1], "b.png")]
    axes: Any = draw_ranking(ladders).axes[0]
    drawn = [np.round(line.get_ydata(), 6).tolist() for line in axes.lines[:3]]
    assert drawn == [[0, -0.4], [0, -0.2], [0, -0.3]]
    assert not axes.collections  # no bars
    assert axes.get_ylabel().endswith("n = 2\n(thin: each image)")


def test_means_are_of_changes_within_an_image() -> None:
    drops = [0.4, 0.2, 0.3, 0.1, 0.5]
    ladders = [ladder([0.9, 0.9 - drop], f"{drop}.png") for drop in drops]
    figure = draw_ranking(ladders)
    container: Any = figure.axes[0].containers[0]
    line, _, (bars,) = container
    found: Any = mean_interval([-drop for drop in drops])
    np.testing.assert_allclose(line.get_ydata(), [0, found.mean])
    np.testing.assert_allclose(bars.get_segments()[1][:, 1], [found.low, found.high])
    assert figure.axes[0].get_ylabel().endswith("n = 5\n(bar: 95 % interval)")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["blur 100 %"]


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(ArtifactError, match="there is no ladder"):
        draw_strip([])
    with pytest.raises(ArtifactError, match="blur: a mean needs two images or more, there is 1"):
        draw_ranking([ladder([0.9, 0.1])])
