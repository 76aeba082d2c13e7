from __future__ import annotations

import math

import pytest
import torch

from cliqa.models.heads.image_text import ImageTextHead
from cliqa.utils.errors import ConfigError, ModelError


def test_logits_are_scaled_cosines() -> None:
    torch.manual_seed(0)
    head = ImageTextHead(6, 5, width=4, temperature=0.1)
    images, texts = torch.randn(3, 6), torch.randn(2, 5)
    logits = head(head.embed_image(images), head.embed_text(texts))
    for i in range(3):
        for k in range(2):
            x, t = head.image(images[i]), head.text(texts[k])
            cosine = (x @ t / (x.norm() * t.norm())).item()
            assert float(logits[i, k]) == pytest.approx(10 * cosine, abs=1e-5)


def test_the_scale_is_learnt_and_bounded() -> None:
    head = ImageTextHead(4, 4, width=None)
    assert float(head.scale) == pytest.approx(1 / 0.07, rel=1e-6)
    head.scale.backward()
    assert head.log_scale.grad is not None
    with torch.no_grad():
        head.log_scale.fill_(math.log(1e6))
    assert float(head.scale) == pytest.approx(100)


def test_features_of_one_length_can_be_compared_as_they_are() -> None:
    head = ImageTextHead(4, 4, width=None)
    assert [name for name, _ in head.named_parameters()] == ["log_scale"]
    vectors = torch.randn(3, 4)
    assert torch.allclose(head.embed_image((vectors,)), vectors / vectors.norm(dim=1)[:, None])


def test_half_precision_has_no_ties() -> None:
    head = ImageTextHead(8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = head.embed_image(torch.randn(4, 8))
        logits = head(images, head.embed_text(torch.randn(3, 8)))
    assert images.dtype == logits.dtype == torch.float32


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="an image has 4 and a text 6. Set width=64"):
        ImageTextHead(4, 6, width=None)
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        ImageTextHead(4, 6, temperature=0)
    with pytest.raises(ModelError, match="in_channels=4, but the features have shape"):
        ImageTextHead(4, 6).embed_image(torch.zeros(2, 5))
