from __future__ import annotations

import pytest
import torch

from cliqa.models.language.attention_pool import AttentionPool


@pytest.mark.parametrize("size", [(7, 7), (5, 9)])
def test_it_is_clips_pool_with_positions_of_zero(size: tuple[int, int]) -> None:
    clip = pytest.importorskip("clip")
    torch.manual_seed(0)
    theirs = clip.model.AttentionPool2d(7, 32, 4, 12)
    maps = torch.randn(2, 32, *size)
    positions = torch.zeros(1 + size[0] * size[1], 32)
    theirs.positional_embedding = torch.nn.Parameter(positions)
    ours = AttentionPool(32, 12, 4)
    state = {k: v for k, v in theirs.state_dict().items() if k != "positional_embedding"}
    ours.load_state_dict(state)
    torch.testing.assert_close(ours(maps), theirs(maps), atol=1e-6, rtol=1e-5)
