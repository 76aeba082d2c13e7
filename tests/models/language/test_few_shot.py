from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.language.few_shot import blend_prototypes


def test_a_candidate_is_its_text_and_its_images_by_plain_loops() -> None:
    random = torch.Generator().manual_seed(0)
    texts = F.normalize(torch.randn(3, 5, generator=random), dim=1)
    images = F.normalize(torch.randn(7, 5, generator=random), dim=1)
    shares = torch.rand(7, 3, generator=random)
    found = blend_prototypes(texts, images, shares, text_weight=2.5)
    for k in range(3):
        total = 2.5 * texts[k]
        for i in range(7):
            total = total + shares[i, k] * images[i]
        assert torch.allclose(found[k], total / total.norm(), atol=1e-6)


def test_without_images_texts_remain_and_without_texts_images() -> None:
    texts, images = torch.eye(2), torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    none = blend_prototypes(texts, images[:0], torch.zeros(0, 2))
    assert torch.equal(none, texts)
    alone = blend_prototypes(texts, images, torch.eye(2), text_weight=0)
    assert torch.allclose(alone, images)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_many_images_outweigh_a_text(weight: float) -> None:
    image = torch.tensor([[0.0, 1.0]])
    shares = torch.tensor([[1.0, 0.0]]).repeat(10_000, 1)
    found = blend_prototypes(torch.eye(2), image.repeat(10_000, 1), shares, weight + 1e-9)
    assert torch.allclose(found[0], image[0], atol=1e-3)
