"""The whole neck is compared with the published one in tests/models/weights."""

from __future__ import annotations

import pytest
import torch

from cliqa.models.necks.cross_scale import CrossScaleAttention, GatedMap
from cliqa.utils.errors import ConfigError, ModelError


def maps_of(height: int = 12, width: int = 8) -> list[torch.Tensor]:
    """Return maps of three depths."""
    return [torch.randn(2, c, height // k, width // k) for c, k in ((3, 1), (4, 2), (5, 4))]


def test_maps_of_any_size_become_a_vector() -> None:
    torch.manual_seed(0)
    neck = CrossScaleAttention((3, 4, 5), dim=8, heads=2, layers=2).eval()
    for maps in (maps_of(), maps_of(40, 4)):
        (vector,) = neck(maps)
        assert vector.shape == (2, 8)
        for index in range(3):  # every level counts
            changed = [level + (k == index) for k, level in enumerate(maps)]
            assert (neck(changed)[0] - vector).abs().max() > 1e-4


def test_positions_count() -> None:
    torch.manual_seed(0)
    neck = CrossScaleAttention((3, 4, 5), dim=8, heads=2).eval()
    torch.nn.init.normal_(neck.rows)
    torch.nn.init.normal_(neck.columns)
    maps = maps_of()
    for axis in (2, 3):
        flipped = [level.flip(axis) for level in maps]
        assert (neck(flipped)[0] - neck(maps)[0]).abs().max() > 1e-3
    grid = neck.places(32, 32)  # as they are learnt
    assert torch.equal(grid[0, :4, :, 5], neck.rows[0, :, :, 0])
    assert torch.equal(grid[0, 4:, 7], neck.columns[0, :, 0])


def test_a_gate_weighs_positions() -> None:
    gate = GatedMap(3).eval()
    maps = torch.randn(1, 3, 4, 4)
    values = torch.nn.functional.gelu(gate.split(maps)[:, :3])
    shares = gate(maps) / values
    assert (shares[:, :1] - shares).abs().max() < 1e-4  # the same for all channels
    assert shares.min() > 0
    assert shares.max() < 1


def test_wrong_maps_and_sizes_are_refused() -> None:
    neck = CrossScaleAttention((3, 4, 5), dim=8, heads=2)
    with pytest.raises(ModelError, match=r"layers for 3 maps \(B, C, h, w\) and got 2 outputs"):
        neck(maps_of()[:2])
    with pytest.raises(ConfigError, match="number_of_maps must be an integer >= 2, got 1"):
        CrossScaleAttention((3,))
    with pytest.raises(ConfigError, match="dim must be even"):
        CrossScaleAttention((3, 4), dim=7, heads=1)
