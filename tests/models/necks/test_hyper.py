from __future__ import annotations

import pytest
import torch

from cliqa.models.necks.hyper import HyperNeck
from cliqa.utils.errors import ConfigError

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
