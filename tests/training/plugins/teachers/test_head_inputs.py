"""What goes into a head, and its distance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.plugins.teachers.head_inputs import HeadInputs, feature_distance
from cliqa.utils.errors import ConfigError


class Two(nn.Module):
    """A model whose head gets a map and a tuple of vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Module()
        self.head.forward = lambda map_, vectors: vectors[0].sum(1)

    def forward(self, inputs: Tensor) -> Any:
        return self.head(inputs[:, None, :, None], (inputs, 2 * inputs.half()))


def test_all_inputs_are_flattened_and_joined() -> None:
    model, inputs = Two(), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    with HeadInputs(model) as seen:
        model(inputs)
    assert seen.vectors().tolist() == [[1, 2, 1, 2, 2, 4], [3, 4, 3, 4, 6, 8]]
    assert seen.vectors().dtype == torch.float32
    assert not model.head._forward_pre_hooks


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="a Linear has no module 'head'. Use features=0"):
        HeadInputs(nn.Linear(1, 1))


def test_the_distance_does_not_depend_on_the_scale_of_features() -> None:
    earlier, now = torch.randn((2, 8, 5), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(feature_distance(now, earlier), feature_distance(9 * now, 9 * earlier))
    assert float(feature_distance(earlier, earlier)) == 0
    assert torch.isfinite(feature_distance(now, torch.ones(8, 5)))  # a teacher that says nothing
