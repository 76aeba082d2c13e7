"""Heads that predict a distribution of scores."""

from __future__ import annotations

import pytest
import torch

from cliqa.models.heads.distribution import GaussianScoreHead, LevelScoreHead, scores_of
from cliqa.models.quality_model import QualityModel
from cliqa.utils.errors import ModelError

BACKBONE = {"type": "SmallConvNet", "in_channels": 3, "channels": [4]}


def test_levels_have_a_mean_and_a_spread() -> None:
    head = LevelScoreHead(2, levels=3)
    logits = torch.tensor([[0.2, 0.3, 0.5], [1.0, 1e-9, 1e-9]]).log()
    assert head.score(logits).tolist() == pytest.approx([0.65, 0.0], abs=1e-6)
    spread = (0.2 * 0.65**2 + 0.3 * 0.15**2 + 0.5 * 0.35**2) ** 0.5
    assert head.deviation(logits).tolist() == pytest.approx([spread, 0.0], abs=1e-4)


def test_a_head_gives_parameters_in_training_and_scores_in_use() -> None:
    features = torch.randn(4, 2)
    for head, width in ((LevelScoreHead(2, 5), 5), (GaussianScoreHead(2), 2)):
        parameters = head.train()(features)
        assert parameters.shape == (4, width)
        scores = head.eval()((features,))
        assert torch.equal(scores, head.score(parameters))
        assert torch.equal(head.train().raw(features), scores)
        assert torch.allclose(scores, torch.full((4,), 0.5), atol=0.1)


def test_the_normal_head_begins_at_its_spread() -> None:
    assert GaussianScoreHead(2).spread(torch.zeros(1, 2)).item() == pytest.approx(0.2)


def test_a_quality_model_scores_and_tells_its_spread() -> None:
    head = {"type": "LevelScoreHead", "in_channels": 4, "levels": 5}
    model = QualityModel(BACKBONE, head)
    images = torch.rand(2, 3, 16, 16)
    assert model.train()(images).shape == (2, 5)
    assert torch.equal(scores_of(model, model(images)), model.eval()(images))
    assert model.spread(images).shape == (2,)
    plain = QualityModel(BACKBONE, {"type": "LinearScoreHead", "in_channels": 4})
    assert scores_of(plain, plain(images)).shape == (2,)
    with pytest.raises(ModelError, match="LinearScoreHead predicts a score and no spread"):
        plain.spread(images)


def test_one_level_is_refused() -> None:
    with pytest.raises(ValueError, match="levels must be an integer of at least 2, got 1"):
        LevelScoreHead(2, levels=1)
