from __future__ import annotations

import torch
from torch import nn

from cliqa.models.backbones.scnn import SCNN


def test_its_maps_are_a_sixteenth_of_the_image_rounded_up() -> None:
    model = SCNN().eval()
    assert sum(p.numel() for p in model.parameters()) == 531_120
    (maps,) = model(torch.rand(2, 3, 64, 50))
    assert maps.shape == (2, 128, 4, 4)
    assert maps.min() == 0


def test_the_layers_are_the_published_ones() -> None:
    convs = [m for m in SCNN().features if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convs] == [48, 48, 64, 64, 64, 64, 128, 128, 128]
    assert [m.stride[0] for m in convs] == [1, 2, 1, 2, 1, 2, 1, 1, 2]
