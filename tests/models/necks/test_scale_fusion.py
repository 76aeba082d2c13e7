from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.scale_fusion import ScaleAttention, ScaleFusion
from cliqa.utils.errors import ConfigError

TINY, BASE = (96, 192, 384, 768), (128, 256, 512, 1024)
SWIN = {"hidden": (512, 256)}


def maps(edges: tuple[int, ...] = (28, 14, 7)) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, channels, edge, edge, generator=random)
        for channels, edge in zip((4, 8, 16), edges, strict=True)
    ]


@pytest.mark.parametrize(
    ("channels", "arguments", "parameters"),
    [
        ((256, 512, 1024, 2048), {}, 2_680_432),
        (TINY, SWIN, 553_840),
        (BASE, SWIN, 684_912),
        (TINY, SWIN | {"multi_scale": True}, 897_904),
        (BASE, SWIN | {"multi_scale": True}, 1_143_664),
        (TINY, SWIN | {"multi_scale": True, "attention": True}, 897_904 + 197_892),
        (BASE, SWIN | {"multi_scale": True, "attention": True}, 1_143_664 + 263_428),
    ],
)
def test_the_fusion_has_its_parameters(
    channels: tuple[int, ...], arguments: dict[str, Any], parameters: int
) -> None:
    with torch.device("meta"):
        fusion = ScaleFusion(channels, **arguments)
    assert sum(p.numel() for p in fusion.parameters()) == parameters


def test_the_deepest_maps_alone() -> None:
    fusion = ScaleFusion((4, 8, 16), hidden=(6,), out_channels=5)
    deepest = maps()[-1]
    expected = fusion.reduce[2](fusion.reduce[0](deepest).relu()).relu()
    assert torch.equal(fusion(maps()), expected)
    assert expected.shape == (2, 5, 7, 7)


def test_all_maps_side_by_side_with_and_without_weights() -> None:
    plain = ScaleFusion((4, 8, 16), (6,), 5, multi_scale=True)
    weighed = ScaleFusion((4, 8, 16), (6,), 5, multi_scale=True, attention=True).eval()
    joined = torch.cat([F.adaptive_avg_pool2d(level, 7) for level in maps()], dim=1)
    torch.testing.assert_close(plain(maps()), plain.reduce(joined))
    assert weighed.attention is not None
    weights = weighed.attention.weights(maps())  # means are the same before and after pooling
    scale = weights.repeat_interleave(torch.tensor([4, 8, 16]), dim=1)[:, :, None, None]
    torch.testing.assert_close(weighed(maps()), weighed.reduce(joined * scale))


@pytest.mark.parametrize("edges", [(8, 4, 2), (37, 19, 10)])
def test_any_size_will_do(edges: tuple[int, ...]) -> None:
    fusion = ScaleFusion((4, 8, 16), (6,), 5, multi_scale=True, attention=True)
    assert fusion(maps(edges)).shape == (2, 5, 7, 7)


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="attention=True weights scales.*Set multi_scale=True"):
        ScaleFusion((4, 8, 16), attention=True)
    with pytest.raises(ConfigError, match="must be above 0, got 0"):
        ScaleFusion((4, 8, 16), hidden=(0,))


def equal_maps() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.rand(3, c, 7, 7, generator=random) for c in (4, 8, 16)]


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [((96, 192, 384, 768), 197_892), ((128, 256, 512, 1024), 263_428)],
)
def test_the_attention_has_its_parameters(channels: tuple[int, ...], parameters: int) -> None:
    assert sum(p.numel() for p in ScaleAttention(channels).parameters()) == parameters


def test_weights_sum_to_one_and_begin_nearly_equal() -> None:
    torch.manual_seed(0)
    weights = ScaleAttention((4, 8, 16)).eval().weights(equal_maps())
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    torch.testing.assert_close(weights, torch.full((3, 3), 1 / 3), atol=0.01, rtol=0)


def test_each_scale_is_multiplied_by_its_weight() -> None:
    attention = ScaleAttention((4, 8, 16)).eval()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    weights = attention.weights(equal_maps())
    assert weights.std() > 0.05
    for level, (found, own) in enumerate(zip(attention(equal_maps()), equal_maps(), strict=True)):
        for image in range(3):
            torch.testing.assert_close(found[image], own[image] * weights[image, level])


def test_no_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="ScaleAttention: hidden must be above 0"):
        ScaleAttention((4, 8), hidden=0)
