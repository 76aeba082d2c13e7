from __future__ import annotations

import pytest
from torch import nn

from cliqa.registry import LOSSES


@pytest.mark.parametrize("name", ["L1Loss", "MSELoss", "HuberLoss", "SmoothL1Loss"])
def test_torchs_losses_are_known(name: str) -> None:
    assert LOSSES.get(name) is getattr(nn, name)
    assert LOSSES.get(f"torch.{name}") is getattr(nn, name)


def test_other_modules_are_not() -> None:
    assert LOSSES.get("Linear") is None
