"""The model inside a wrapper, and only inside those that are none of the user's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.wrappers import unwrapped


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda m: m,
        nn.DataParallel,
        compiled,
        lambda m: nn.DataParallel(compiled(m)),
        lambda m: compiled(nn.DataParallel(m)),
    ],
)
def test_wrappers_come_off_in_any_order(wrap: Any) -> None:
    model = nn.Linear(2, 1)
    assert unwrapped(wrap(model)) is model


def test_a_class_of_ones_own_is_a_model() -> None:
    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 1)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.module(inputs)[:, 0]
            return scores

    model = Scores()
    assert unwrapped(model) is model
