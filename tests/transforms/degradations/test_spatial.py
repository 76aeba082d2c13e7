from __future__ import annotations

import torch

from cliqa.transforms.degradations.spatial import Pixelate, Quantise


def test_a_block_has_the_mean_of_its_pixels_cut_blocks_too() -> None:
    image = torch.rand(1, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    blocks = Pixelate()(image, 3, torch.Generator())
    assert blocks.shape == image.shape
    for top, left in ((0, 0), (3, 0), (6, 3)):  # the last is cut on both sides
        block = (..., slice(top, top + 3), slice(left, left + 3))
        mean = image[block].mean(dim=(2, 3), keepdim=True)
        assert torch.allclose(blocks[block], mean.expand_as(blocks[block]))


def test_levels_are_evenly_spaced_from_black_to_white() -> None:
    ramp = torch.linspace(0, 1, 256).view(1, 1, 16, 16)
    levels = Quantise()(ramp, 5, torch.Generator())
    assert levels.unique().tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert (levels - ramp).abs().max() <= 0.125 + 1e-6
