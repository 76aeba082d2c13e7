from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.heads.mlp import MLPScoreHead
from cliqa.utils.errors import ConfigError, ModelError


def test_it_is_normalisation_linear_gelu_and_a_line() -> None:
    torch.manual_seed(0)
    head = MLPScoreHead(6, layers=1)
    x = torch.randn(4, 6)
    state = head.state_dict()
    hidden = F.gelu(F.layer_norm(x, (6,)) @ state["layers.1.weight"].T + state["layers.1.bias"])
    expected = hidden @ state["layers.3.weight"][0] + state["layers.3.bias"]
    torch.testing.assert_close(head((x,)), expected)


def test_scores_begin_near_one_half() -> None:
    assert (MLPScoreHead(64)(torch.randn(8, 64)) - 0.5).abs().max() < 0.2


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="layers must be an integer >= 1, got 0"):
        MLPScoreHead(6, layers=0)
    with pytest.raises(ModelError, match="Set in_channels=5"):
        MLPScoreHead(6)(torch.zeros(1, 5))
