"""Scores at rising degradation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from cliqa.explain.ranking import rank_degradations
from cliqa.inference.predict import Predictor
from cliqa.utils.errors import ConfigError, ModelError


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
