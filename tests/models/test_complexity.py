"""Multiply-accumulates, against counts by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from cliqa.models.complexity import count_macs, is_convolutional
from cliqa.utils.errors import ModelError


def test_a_small_network_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 16 x 16 places, 8 outputs of 3 x 3 x 3
        nn.ReLU(),
        nn.Conv2d(8, 12, 1, groups=4),  # 2 inputs an output
        nn.Flatten(),
        nn.Linear(12 * 256, 5),
    )
    expected = 256 * 8 * 27 + 256 * 12 * 2 + 12 * 256 * 5
    assert count_macs(model, torch.zeros(1, 3, 32, 32)) == expected
    assert count_macs(model, torch.zeros(4, 3, 32, 32)) == 4 * expected


def test_attention_is_counted() -> None:
    class Attention(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(values, values[..., :3, :], values[..., :3, :])

    # 2 x 4 heads, 5 queries against 3 keys of 6 numbers, and as many for the values
    assert count_macs(Attention(), torch.zeros(2, 4, 5, 6)) == 2 * 4 * 5 * 3 * (6 + 6)


def test_torchs_attention_layer_is_counted_in_evaluation_mode() -> None:
    """In evaluation mode the whole layer is one operator that no counter looks into."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    inputs = torch.zeros(1, 5, 8)
    # projections to q, k, v and out; attention; the perceptron
    expected = 5 * 8 * 8 * 4 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
    found = [count_macs(layer.train(mode), inputs) for mode in (False, True)]
    assert found == [expected, expected]


def test_what_multiplies_no_matrices_is_not_counted() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.GELU(), nn.AvgPool2d(2), nn.LayerNorm(4)).eval()
    assert count_macs(model, torch.zeros(1, 3, 8, 8)) == 0


def test_a_product_with_a_sum_is_counted() -> None:
    class Product(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return torch.baddbmm(torch.zeros(2, 3, 3), values, values.transpose(1, 2))

    assert count_macs(Product(), torch.zeros(2, 3, 7)) == 2 * 3 * 7 * 3


def test_the_model_stays_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    fused = torch.backends.mha.get_fastpath_enabled()
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_macs(model.eval(), torch.ones(1, 3, 4, 4))
    assert not model.training
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert torch.backends.mha.get_fastpath_enabled() == fused
    assert capfd.readouterr() == ("", "")


def test_a_model_that_fails_is_named() -> None:
    with pytest.raises(ModelError, match="the model fails where its MACs are counted"):
        count_macs(nn.Linear(3, 2), torch.zeros(1, 4))


FAMILIES = {"resnet18": True, "vgg11": True, "vit_b_16": False, "swin_t": False}


@pytest.mark.parametrize(("name", "wanted"), FAMILIES.items())
def test_families_are_convolutional_or_not(name: str, wanted: bool) -> None:
    with torch.device("meta"):  # VGG's linear layers have ten times the weights of its convolutions
        model = torchvision.models.get_model(name)
    assert is_convolutional(model) == wanted
    assert not is_convolutional(nn.Identity())
