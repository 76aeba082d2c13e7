from __future__ import annotations

import pytest
import torch
from torch import nn

from cliqa.models.necks.attention import Attention, AttentionLayer
from cliqa.utils.errors import ConfigError


def test_it_is_multi_head_attention() -> None:
    torch.manual_seed(0)
    theirs, ours = nn.MultiheadAttention(12, 3, batch_first=True), Attention(12, 3)
    query, key_value = theirs.in_proj_weight.split([12, 24])
    state = {"query.weight": query, "key_value.weight": key_value}
    state |= {"query.bias": torch.randn(12), "key_value.bias": torch.randn(24)}
    state |= {f"out.{name}": tensor for name, tensor in theirs.out_proj.state_dict().items()}
    ours.load_state_dict(state)
    with torch.no_grad():
        theirs.in_proj_bias.copy_(torch.cat([state["query.bias"], state["key_value.bias"]]))
    x, memory = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
    torch.testing.assert_close(ours(x, memory), theirs(x, memory, memory)[0])


def test_a_layer_without_attention_and_perceptron_is_its_input() -> None:
    layer = AttentionLayer(8, 2, cross=True)
    for linear in (layer.attention.out, layer.perceptron[3]):
        assert isinstance(linear, nn.Linear)
        nn.init.zeros_(linear.weight)
    x = torch.randn(2, 3, 8)
    assert torch.equal(layer(x, torch.randn(2, 4, 8)), x)


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="heads=3 does not divide dim=8"):
        Attention(8, 3)
    with pytest.raises(ConfigError, match="dropout must lie in 0..1"):
        Attention(8, 2, 1.0)
