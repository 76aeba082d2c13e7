from __future__ import annotations

import pytest
import torch

from cliqa.models.necks.unit_vectors import UnitVectors
from cliqa.utils.errors import ModelError


def test_maps_and_vectors_have_length_one() -> None:
    maps, vectors = torch.rand(2, 3, 4, 5), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    first, second = UnitVectors()([maps, vectors])
    torch.testing.assert_close(first.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(first * maps.mean((2, 3)).norm(dim=1)[:, None], maps.mean((2, 3)))
    torch.testing.assert_close(second, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_tokens_are_refused() -> None:
    with pytest.raises(ModelError, match=r"returned shape \(2, 3, 4\)"):
        UnitVectors()([torch.zeros(2, 3, 4)])
