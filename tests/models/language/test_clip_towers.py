from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.models.language.clip_towers import CLIPText, CLIPVision
from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import ConfigError, ModelError

TEXTS = ["a photo of a cat.", "Dog", "a much longer text with many more words in it"]


def test_features_are_those_of_the_whole_clip(
    tiny_clip: Any, clip_file: Path, clip_arch: Mapping[str, Any]
) -> None:
    clip = pytest.importorskip("clip")
    encoder = CLIPText(clip_arch, clip_file)
    assert torch.allclose(
        encoder.encode(TEXTS), tiny_clip.encode_text(clip.tokenize(TEXTS)), atol=1e-5
    )
    words, mask = encoder.words(TEXTS)
    assert mask.sum(1).tolist() == [len(tokens) for tokens in encoder.tokens(TEXTS)]
    assert words.shape == (*mask.shape, encoder.output_dim)


def test_tokens_are_readable(clip_file: Path, clip_arch: Mapping[str, Any]) -> None:
    encoder = CLIPText(clip_arch, clip_file)
    assert encoder.tokens(["a cat."]) == [["<|startoftext|>", "a", "cat", ".", "<|endoftext|>"]]


def test_the_tower_is_frozen_by_default(clip_file: Path, clip_arch: Mapping[str, Any]) -> None:
    assert not any(p.requires_grad for p in CLIPText(clip_arch, clip_file).parameters())
    encoder = CLIPText(clip_arch, clip_file, freeze=False)
    encoder.encode(TEXTS).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_checkpoint_needs_no_other_file(clip_file: Path, clip_arch: Mapping[str, Any]) -> None:
    encoder, again = CLIPText(clip_arch, clip_file), CLIPText(clip_arch)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.encode(TEXTS), encoder.encode(TEXTS))


def test_wrong_files_and_long_texts_are_refused(
    clip_file: Path, clip_arch: Mapping[str, Any]
) -> None:
    with pytest.raises(ModelError, match=r"tiny\.pt: not the weights of this CLIP model"):
        CLIPText({**clip_arch, "embed_dim": 8}, clip_file)
    with pytest.raises(ModelError, match="CLIPText: a text is too long"):
        CLIPText(clip_arch, clip_file).encode(["word " * 100])


def test_the_images_features_are_those_of_the_whole_clip(
    tiny_clip: Any, clip_file: Path, clip_arch: Mapping[str, Any]
) -> None:
    images = torch.randn(2, 3, 32, 32)
    tower = CLIPVision(clip_arch, clip_file).eval()
    assert torch.equal(tower(images), tiny_clip.encode_image(images))
    again = CLIPVision(clip_arch).eval()
    again.load_state_dict(tower.state_dict())
    assert torch.equal(again(images), tower(images))


def test_a_resnet_of_clip_can_be_built(clip_arch: Mapping[str, Any]) -> None:
    pytest.importorskip("clip")
    sizes = {**clip_arch, "vision_layers": (1, 1, 1, 1), "vision_width": 16}
    assert CLIPVision(sizes).eval()(torch.randn(2, 3, 32, 32)).shape == (2, 16)


def test_images_of_another_size_are_refused(clip_arch: Mapping[str, Any]) -> None:
    pytest.importorskip("clip")
    with pytest.raises(ModelError, match=r"takes images \(B, 3, 32, 32\).*type='Resize', size=\(3"):
        CLIPVision(clip_arch)(torch.zeros(1, 3, 28, 28))


def test_maps_before_the_projection_are_those_of_the_whole_tower(
    tiny_clip: Any, clip_file: Path, clip_arch: Mapping[str, Any]
) -> None:
    images = torch.randn(2, 3, 32, 32)
    whole = CLIPVision(clip_arch, clip_file).eval()
    assert whole.input_statistics is not None
    assert whole.input_statistics.mean[0] == pytest.approx(0.481, abs=1e-3)
    blocks = whole.visual.transformer.resblocks
    last = len(blocks) - 1
    kept: list[torch.Tensor] = []
    handles = [block.register_forward_hook(lambda *a: kept.append(a[2])) for block in blocks]
    whole(images)
    for handle in handles:
        handle.remove()
    found = CLIPVision(clip_arch, clip_file, out_indices=[-1, 0]).eval()(images)
    for level, maps in zip((last, 0), found, strict=True):
        patches = kept[level][1:].permute(1, 2, 0)  # (B, D, h w)
        torch.testing.assert_close(maps.flatten(2), patches)
    first = CLIPVision(clip_arch, out_indices=[0]).eval()
    load_weights(first, clip_file_of(whole, clip_file.parent))
    torch.testing.assert_close(first(images)[0], found[1])


def clip_file_of(tower: CLIPVision, folder: Path) -> Path:
    torch.save(tower.state_dict(), folder / "tower.pth")
    return folder / "tower.pth"


def test_a_resnet_of_clip_gives_maps_of_any_image(clip_arch: Mapping[str, Any]) -> None:
    pytest.importorskip("clip")
    sizes = {**clip_arch, "vision_layers": (1, 1, 1, 1), "vision_width": 16}
    whole = CLIPVision(sizes).eval()
    cut = CLIPVision(sizes, out_indices=[1, 2]).eval()
    cut.load_state_dict(whole.state_dict(), strict=False)
    images = torch.randn(2, 3, 48, 32)
    kept: list[torch.Tensor] = []
    whole.visual.layer3.register_forward_hook(lambda *a: kept.append(a[2]))
    whole(torch.nn.functional.pad(images, (0, 0, 0, -16)))
    torch.testing.assert_close(cut(images[..., :32, :])[1], kept[0])
    assert [tuple(maps.shape) for maps in cut(images)] == [(2, 128, 6, 4), (2, 256, 3, 2)]
    for wrong in ([], [4], [-5]):
        with pytest.raises(ConfigError, match=r"out_indices=\[.*has the levels 0 to 3\. Name at"):
            CLIPVision(sizes, out_indices=wrong)
