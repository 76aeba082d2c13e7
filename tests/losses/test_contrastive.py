from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from cliqa.losses.classes import as_class_loss
from cliqa.losses.contrastive import ContrastiveLoss, contrastive_loss, level_shares
from cliqa.utils.errors import ConfigError, ModelError


def draw(seed: int, images: int, texts: int) -> Tensor:
    return 3 * torch.randn(images, texts, generator=torch.Generator().manual_seed(seed)).double()


def by_loops(logits: Tensor, positives: Tensor) -> tuple[float, float]:
    """Return the sides of the images and of the texts, sample by sample and pair by pair."""
    sides = []
    for table, belongs in ((logits, positives), (logits.T, positives.T)):
        rows = []
        for row, own in zip(table.tolist(), belongs.tolist(), strict=True):
            below = math.log(sum(math.exp(value) for value in row))
            if sum(own):
                terms = [p * (below - value) for value, p in zip(row, own, strict=True)]
                rows.append(sum(terms) / sum(own))
        sides.append(sum(rows) / len(rows))
    return sides[0], sides[1]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_the_loss_is_that_of_plain_loops(weight: float) -> None:
    classes = torch.tensor([0, 2, 2, 1, 0, 0])
    among_batch = classes[:, None] == classes[None, :]  # texts of the samples' own classes
    for texts, positives in ((6, among_batch), (5, nn.functional.one_hot(classes, 5))):
        logits = draw(texts, 6, texts)
        of_images, of_texts = by_loops(logits, positives)
        expected = (1 - weight) * of_images + weight * of_texts
        assert float(contrastive_loss(logits, positives, weight)) == pytest.approx(expected)


def test_soft_positives_are_those_of_plain_loops() -> None:
    logits = draw(0, 4, 3)
    shares = level_shares(torch.tensor([0.1, 0.5, 0.6, 1.0]).double(), [1.0, 0.5, 0.0])
    of_images, of_texts = by_loops(logits, shares)
    assert float(contrastive_loss(logits, shares)) == pytest.approx((of_images + of_texts) / 2)


def test_the_images_side_alone_is_cross_entropy() -> None:
    logits, targets = draw(1, 7, 4), torch.tensor([0, 1, 2, 3, 3, 0, 1])
    expected = nn.CrossEntropyLoss()(logits, targets)
    assert torch.allclose(ContrastiveLoss(text_weight=0)(logits, targets), expected)


def test_the_loss_of_classes_is_that_of_their_positives() -> None:
    logits, targets = draw(2, 5, 4), torch.tensor([0, 1, 1, 3, 3])
    positives = nn.functional.one_hot(targets, 4)
    loss = as_class_loss(ContrastiveLoss())
    assert torch.equal(loss(logits, targets), contrastive_loss(logits, positives))


def test_a_batch_of_one_class_and_no_positives_have_finite_gradients() -> None:
    logits = draw(3, 3, 2).requires_grad_()
    ContrastiveLoss()(logits, torch.zeros(3)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert float(contrastive_loss(logits, torch.zeros(3, 2))) == 0


def test_the_loss_does_not_depend_on_the_order_of_images_and_texts() -> None:
    logits, positives = draw(4, 6, 5), (draw(5, 6, 5) > 0).double()
    rows, columns = torch.randperm(6), torch.randperm(5)
    shuffled = contrastive_loss(logits[rows][:, columns], positives[rows][:, columns])
    assert torch.allclose(shuffled, contrastive_loss(logits, positives))


@pytest.mark.parametrize("values", [[1.0, 0.75, 0.5, 0.25, 0.0], [0.2, 0.9], [0.5, 0.0, 1.0]])
def test_shares_weigh_the_levels_to_the_score(values: list[float]) -> None:
    scores = torch.linspace(0, 1, 41).double()
    shares = level_shares(scores, values)
    assert shares.shape == (41, len(values))
    assert (shares >= 0).all()
    assert torch.allclose(shares.sum(1), torch.ones(41).double())
    worth = torch.tensor(values).double()
    assert torch.allclose(shares @ worth, scores.clamp(min(values), max(values)))
    assert int((shares > 0).sum(1).max()) <= 2


def test_wrong_uses_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"text_weight must lie in 0\.\.1, got 1\.5"):
        ContrastiveLoss(text_weight=1.5)
    with pytest.raises(ModelError, match=r"needs logits \(B, K\), got shape \(3,\).*'L1Loss'"):
        ContrastiveLoss()(torch.zeros(3), torch.zeros(3))
