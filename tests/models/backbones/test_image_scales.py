from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.build import build_model
from cliqa.utils.errors import ConfigError

NET: dict[str, Any] = {"type": "SmallConvNet", "in_channels": 3, "channels": (4, 6)}


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_every_scale_is_half_of_the_one_before(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model: Any = build_model({"type": "ImageScales", "backbone": NET, "scales": 3}).eval()
    images = torch.rand(2, 3, *size)
    found = model(images)
    assert len(found) == 3
    for maps in found:
        torch.testing.assert_close(maps, model.backbone(images)[0])
        images = F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=False)


def test_a_model_over_both_scales_scores_unit_features() -> None:
    head = {"type": "LinearScoreHead", "in_channels": 12}
    neck = {"type": "UnitVectors"}
    backbone = {"type": "ImageScales", "backbone": NET}
    config = {"type": "QualityModel", "backbone": backbone, "neck": neck, "head": head}
    model: Any = build_model(config).eval()
    images = torch.rand(2, 3, 32, 32)
    features = model.features(images)
    whole, half = (level.mean(dim=(2, 3)) for level in model.backbone(images))
    expected = torch.cat([F.normalize(whole), F.normalize(half)], dim=1)
    torch.testing.assert_close(features, expected)
    assert model(images).shape == (2,)


def test_no_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match="scales must be an integer >= 1, got 0"):
        build_model({"type": "ImageScales", "backbone": NET, "scales": 0})
