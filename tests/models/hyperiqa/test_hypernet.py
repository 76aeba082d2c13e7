"""The hyper network: which weights come from where."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from cliqa.models.hyperiqa.hypernet import HyperNet
from cliqa.utils.errors import ConfigError, ModelError

SIZES = (224, 112, 56, 28, 14, 1)


def test_the_made_weights_have_the_papers_shapes() -> None:
    weights, biases = HyperNet()(torch.rand(2, 112, 7, 7))
    assert [tuple(w.shape) for w in weights] == [(2, o, i) for i, o in pairwise(SIZES)]
    assert [tuple(b.shape) for b in biases] == [(2, o) for o in SIZES[1:]]
    values = sum(t[0].numel() for t in (*weights, *biases))
    assert values == 33_545


def test_the_parameters_are_counted() -> None:
    with torch.device("meta"):
        net = HyperNet()
    counts = [sum(p.numel() for p in layer.parameters()) for layer in (*net.weights, *net.biases)]
    assert counts == [516_608, 129_152, 32_288, 8_072, 1_582, 12_656, 6_328, 3_164, 1_582, 113]
    assert sum(counts) == 711_545


def test_matrices_are_written_row_by_row_and_biases_come_from_the_means() -> None:
    net = HyperNet(in_channels=3, sizes=(8, 4, 2), grid=2)
    maps = torch.rand(2, 3, 2, 2)
    weights, biases = net(maps)
    flat = net.weights[0](maps)[1].flatten()  # channel by channel, row by row
    assert torch.equal(weights[0][1, 2], flat[16:24])
    means = maps.flatten(2).mean(2)
    torch.testing.assert_close(biases[1], net.biases[1](means))
    torch.testing.assert_close(weights[-1][:, 0], net.weights[-1](means))


def test_the_last_layer_starts_small() -> None:
    torch.manual_seed(0)
    weights, biases = HyperNet(start=0.5)(torch.rand(8, 112, 7, 7))
    assert weights[-1].abs().max() < 0.5
    torch.testing.assert_close(biases[-1], torch.full((8, 1), 0.5), atol=0.3, rtol=0)
    assert weights[0].std() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (224,)}, r"sizes=\(224,\) has no hidden layer"),
        ({"sizes": (224, 100)}, r"100 x 224 .* multiple of 49, e\.g\. both multiples of 7"),
        ({"sizes": (224, 0)}, "sizes must be above 0, got 0"),
        ({"grid": 0}, "grid must be above 0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HyperNet(**arguments)  # type: ignore[arg-type]


def test_other_maps_are_refused() -> None:
    with pytest.raises(
        ModelError, match=r"takes maps \(B, 112, 7, 7\), got shape \(1, 112, 8, 8\)"
    ):
        HyperNet()(torch.rand(1, 112, 8, 8))
