"""LIQE, against a reference written from its paper and published code."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.models.build import build_model
from cliqa.models.language.liqe import DISTORTIONS, LEVELS, SCENES, window_corners
from cliqa.models.weights.start import start_from
from cliqa.utils.errors import ConfigError, ModelError

SMALL: dict[str, Any] = {"scenes": ["human", "night"], "distortions": ["noise", "blur", "other"]}


def model_of(arch: Mapping[str, Any], file: Path | None = None, **arguments: Any) -> Any:
    """Return LIQE over a tiny CLIP."""
    tower = {"arch": arch, "pretrained": None if file is None else str(file)}
    config = {
        "type": "LIQE",
        "backbone": {"type": "CLIPVision", **tower},
        "text_encoder": {"type": "CLIPText", **tower},
        "in_channels": 16,
        **{"size": 32, "step": 8, "windows": 4, "freeze": ["head"], **arguments},
    }
    return build_model(config).eval()


def published(clip_model: Any, images: Tensor, scale: float) -> Tensor:
    """Return the joint probabilities (B, 5, 9, 11) of images, for 4 windows 8 pixels apart."""
    clip = pytest.importorskip("clip")
    texts = [
        f"a photo of a {c} with {d} artifacts, which is of {q} quality"
        for q, c, d in product(LEVELS, SCENES, DISTORTIONS)
    ]
    words = F.normalize(clip_model.encode_text(clip.tokenize(texts)), dim=1)
    windows = images.unfold(2, 32, 8).unfold(3, 32, 8).permute(0, 2, 3, 1, 4, 5)
    windows = windows.reshape(len(images), -1, 3, 32, 32)
    chosen = windows[:, [k * (windows.shape[1] // 4) for k in range(4)]]
    vectors = F.normalize(clip_model.encode_image(chosen.flatten(0, 1)), dim=1)
    logits = (scale * vectors @ words.T).view(len(images), 4, -1).mean(1)
    return logits.softmax(1).view(-1, 5, 9, 11)


@torch.no_grad()
def test_scores_and_marginals_are_the_published_ones(
    tiny_clip: Any, clip_file: Path, clip_arch: Mapping[str, Any]
) -> None:
    images = torch.randn(2, 3, 50, 72, generator=torch.Generator().manual_seed(0))
    joint = published(tiny_clip, images, 100.0)
    quality = joint.sum((2, 3)) @ torch.arange(1.0, 6.0)  # 1..5
    model = model_of(clip_arch, clip_file)
    assert abs(quality[0] - quality[1]) > 1e-3
    torch.testing.assert_close(1 + 4 * model(images), quality, atol=1e-4, rtol=1e-4)
    found = model.probabilities(images)
    torch.testing.assert_close(found["quality"], joint.sum((2, 3)), atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found["scene"], joint.sum((1, 3)), atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found["distortion"], joint.sum((1, 2)), atol=1e-5, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "clip_model."])
def test_a_published_checkpoint_is_the_whole_model(
    tiny_clip: Any, clip_arch: Mapping[str, Any], prefix: str, tmp_path: Path
) -> None:
    state = {prefix + name: tensor for name, tensor in tiny_clip.state_dict().items()}
    torch.save({"params": state} if prefix else state, tmp_path / "LIQE.pt")
    model = model_of(clip_arch)
    report = start_from(model, {"path": tmp_path / "LIQE.pt", "strict": True}).weights
    assert "layout of CLIP's published code" in str(report)
    images = torch.randn(1, 3, 50, 72)
    quality = published(tiny_clip, images, tiny_clip.logit_scale.exp()).sum((2, 3))
    expected = quality @ torch.linspace(0, 1, 5)
    torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-3)
    del state[f"{prefix}visual.ln_post.bias"]
    torch.save(state, tmp_path / "less.pt")
    with pytest.raises(ModelError, match="ln_post"):
        start_from(model, {"path": tmp_path / "less.pt", "strict": True})


def test_windows_are_spread_over_the_image() -> None:
    assert window_corners(224, 224) == [(0, 0)]
    assert len(window_corners(1024, 768)) == 15
    tops, lefts = zip(*window_corners(512, 512), strict=True)
    assert max(tops) > 200
    assert max(lefts) > 200


def test_other_scenes_and_small_images(clip_arch: Mapping[str, Any]) -> None:
    pytest.importorskip("clip")
    model = model_of(clip_arch, **SMALL)
    shares = model.probabilities(torch.randn(3, 3, 32, 32))
    assert [value.shape[1] for value in shares.values()] == [5, 2, 3]
    assert torch.allclose(shares["scene"].sum(1), torch.ones(3))
    assert model.embed_image(torch.randn(2, 3, 40, 32)).shape == (2, 16)
    with pytest.raises(ModelError, match=r"at least 32 pixels a side, got 31 x 40"):
        model(torch.randn(1, 3, 31, 40))
    with pytest.raises(ConfigError, match="at least one of the scenes"):
        model_of(clip_arch, scenes=[])


def test_both_towers_are_trained_and_the_scale_is_not(clip_arch: Mapping[str, Any]) -> None:
    pytest.importorskip("clip")
    torch.manual_seed(0)
    encoder = {"type": "CLIPText", "arch": clip_arch, "freeze": False}
    model = model_of(clip_arch, text_encoder=encoder, **SMALL).train()
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None]
    assert lacking == ["head.log_scale"]
    again = model_of(clip_arch, text_encoder=encoder, **SMALL)
    again.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(images), model.eval()(images))
