"""The target net: a batch of networks is the networks one by one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.hyperiqa.target_net import TargetNet, target_scores
from cliqa.utils.errors import ConfigError

SIZES = (224, 112, 56, 28, 14, 1)


def made(batch: int) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Return vectors, weights and biases of a batch."""
    random = torch.Generator().manual_seed(0)
    pairs = list(zip(SIZES, SIZES[1:], strict=False))
    weights = [torch.randn(batch, o, i, generator=random) / i**0.5 for i, o in pairs]
    biases = [torch.randn(batch, o, generator=random) for _, o in pairs]
    return torch.randn(batch, SIZES[0], generator=random), weights, biases


def test_it_is_a_convolution_with_a_group_an_image() -> None:
    vectors, weights, biases = made(5)
    value = vectors.reshape(1, -1, 1, 1)
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        kernel = weight.flatten(0, 1)[:, :, None, None]
        value = F.conv2d(value, kernel, bias.flatten(), groups=5)
        value = value.sigmoid() if index < 4 else value
    torch.testing.assert_close(
        target_scores(vectors, weights, biases), value.flatten(), atol=1e-5, rtol=0
    )


def test_each_image_has_a_network_of_its_own() -> None:
    vectors, weights, biases = made(3)
    scores = target_scores(vectors, weights, biases)
    for k in range(3):
        value = vectors[k]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            value = (weight[k] @ value + bias[k]).sigmoid()
        expected = weights[-1][k] @ value + biases[-1][k]
        torch.testing.assert_close(scores[k : k + 1], expected, atol=1e-5, rtol=0)


def test_one_image_gives_one_score_in_a_vector() -> None:
    assert target_scores(*made(1)).shape == (1,)
    assert target_scores(*made(0)).shape == (0,)


@pytest.mark.parametrize("dropped", [1, 3])
def test_dropout_stands_behind_the_first_layers_in_training_alone(dropped: int) -> None:
    vectors, weights, biases = made(4)
    net = TargetNet(dropout=0.5, dropped=dropped)
    seen: list[tuple[int, ...]] = []
    net.dropout.register_forward_hook(lambda _, args, __: seen.append(tuple(args[0].shape)))
    first, second = (net(vectors, weights, biases) for _ in range(2))
    assert not torch.equal(first, second)
    assert seen == [(4, size, 1) for size in SIZES[1 : 1 + dropped]] * 2
    assert torch.equal(
        net.eval()(vectors, weights, biases), target_scores(vectors, weights, biases)
    )


def test_values_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"TargetNet: dropout must be at least 0.*got 1\.0"):
        TargetNet(dropout=1.0)
    with pytest.raises(ConfigError, match="dropped must be at least 0 layers, got -1"):
        TargetNet(dropped=-1)
