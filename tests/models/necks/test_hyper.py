from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.necks.hyper import HyperNeck, LocalDistortion
from cliqa.utils.errors import ConfigError, ModelError

FUSION = {"type": "ScaleFusion", "hidden": (6,), "out_channels": 5}


def test_it_gives_a_vector_and_maps() -> None:
    neck = HyperNeck(FUSION, (4, 8), reduced=(2,), dims=3, vector_channels=9)
    maps = [torch.rand(2, 4, 16, 16), torch.rand(2, 8, 8, 8)]
    vectors, content = neck(maps)
    assert torch.equal(vectors, neck.local(maps))
    assert torch.equal(content, neck.fusion(maps))
    assert (vectors.shape, content.shape) == ((2, 9), (2, 5, 7, 7))


def test_without_channels_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="HyperNeck: in_channels is empty"):
        HyperNeck(FUSION)


def test_an_unknown_fusion_is_named() -> None:
    with pytest.raises(ConfigError, match=r"model\.neck\.fusion: unknown model 'ScaleFusoin'"):
        HyperNeck({"type": "ScaleFusoin"}, (4, 8), reduced=(2,))


CHANNELS = (8, 16, 24, 32)


def maps(edges: tuple[int, ...] = (56, 28, 14, 7)) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [
        torch.rand(2, channels, edge, edge, generator=random)
        for channels, edge in zip(CHANNELS, edges, strict=True)
    ]


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [
        ((256, 512, 1024, 2048), 475_360),
        ((96, 192, 384, 768), 196_320),
        ((128, 256, 512, 1024), 252_128),
    ],
)
def test_the_parameters_are_counted(channels: tuple[int, ...], parameters: int) -> None:
    with torch.device("meta"):
        module = LocalDistortion(channels)
    assert sum(p.numel() for p in module.parameters()) == parameters


def test_it_is_the_published_module_at_224_px() -> None:
    module = LocalDistortion(CHANNELS)
    parts = []
    for level, own in enumerate(maps()):
        if level < 3:  # a 1x1 convolution of the whole map, then its means over 7x7 places
            own = module.reduce[level](own)
        parts.append(module.project[level](F.avg_pool2d(own, 7, stride=7).flatten(1)))
    expected = torch.cat(parts, dim=1)
    assert [part.shape[1] for part in parts] == [16, 16, 16, 176]
    torch.testing.assert_close(module(maps()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("edges", [(16, 8, 4, 2), (37, 19, 10, 5), (80, 40, 20, 10)])
def test_any_size_will_do(edges: tuple[int, ...]) -> None:
    assert LocalDistortion(CHANNELS)(maps(edges)).shape == (2, 224)


def test_it_knows_where_in_the_image_a_distortion_is() -> None:
    module = LocalDistortion(CHANNELS)
    flipped = [own.flip(3) for own in maps()]
    assert not torch.allclose(module(maps())[:, :48], module(flipped)[:, :48], atol=1e-3)
    torch.testing.assert_close(module(maps())[:, 48:], module(flipped)[:, 48:])


def test_two_maps_are_enough() -> None:
    module = LocalDistortion((8, 32), reduced=(4,), dims=5, out_channels=12)
    assert isinstance(module.project[0], nn.Linear)
    assert module([maps()[0], maps()[3]]).shape == (2, 12)


def test_unfit_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"reduced has 3 numbers for 2 maps\. .*: 1\."):
        LocalDistortion((8, 16))
    with pytest.raises(ConfigError, match="out_channels=48 leaves no output .* 3 times dims=16"):
        LocalDistortion(CHANNELS, out_channels=48)
    with pytest.raises(ConfigError, match="in_channels_and_reduced must be above 0, got 0"):
        LocalDistortion(CHANNELS, reduced=(16, 0, 64))
    with pytest.raises(ModelError, match="has layers for 4 maps and got 3"):
        LocalDistortion(CHANNELS)(maps()[1:])
