"""Other ways to compute the same."""

from __future__ import annotations

import torch
from mmpretrain.models.utils.attention import ShiftWindowMSA

from cliqa.models.export_forms import distances, export_forms, join_windows


def test_windows_are_joined_as_they_were_cut() -> None:
    maps = torch.randn(3, 8, 12, 5)
    windows = ShiftWindowMSA.window_partition(maps, 4)
    assert torch.equal(join_windows(windows, 8, 12, 4), maps)
    assert torch.equal(ShiftWindowMSA.window_reverse(windows, 8, 12, 4), maps)


def test_distances_are_those_of_torch() -> None:
    a, b = torch.randn(4, 6), torch.randn(3, 6)
    torch.testing.assert_close(distances(a, b, compute_mode="any"), torch.cdist(a, b))


def test_the_forms_hold_inside_the_block_alone() -> None:
    before = ShiftWindowMSA.window_reverse, torch.cdist
    with export_forms():
        assert (ShiftWindowMSA.window_reverse, torch.cdist) == (join_windows, distances)
    assert (ShiftWindowMSA.window_reverse, torch.cdist) == before
