from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.scale_fusion import ScaleFusion
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
def test_the_parameters_are_counted(
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


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="attention=True weighs scales.*Set multi_scale=True"):
        ScaleFusion((4, 8, 16), attention=True)
    with pytest.raises(ConfigError, match="must be above 0, got 0"):
        ScaleFusion((4, 8, 16), hidden=(0,))
