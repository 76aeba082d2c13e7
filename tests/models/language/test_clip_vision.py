from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.models.language.clip_vision import CLIPVision
from cliqa.utils.errors import ModelError


def test_features_are_those_of_the_whole_clip(
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
