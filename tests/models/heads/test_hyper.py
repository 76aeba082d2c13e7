from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.heads.hyper import HyperHead, HyperNet, TargetNet
from cliqa.utils.errors import ConfigError, ModelError

SIZES = (224, 112, 56, 28, 14, 1)


def head(**arguments: object) -> HyperHead:
    torch.manual_seed(0)
    return HyperHead(in_channels=4, sizes=(28, 14, 7), **arguments)  # type: ignore[arg-type]


def inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    maps = torch.rand(batch, 4, 7, 7, generator=random)
    return torch.rand(batch, 28, generator=random), maps


def test_it_scores_with_the_network_that_it_makes() -> None:
    own = head().eval()
    vectors, maps = inputs()
    weights, biases = own.hypernet(maps)
    assert torch.equal(own((vectors, maps)), own.target_net(vectors, weights, biases))
    assert own(inputs(1)).shape == (1,)


@pytest.mark.parametrize("score_range", [(0, 1), (0, 100), (-5.0, 3.0)])
def test_scores_start_near_the_middle_on_any_scale(score_range: tuple[float, float]) -> None:
    own = head(score_range=score_range).eval()
    assert (own(inputs()) - 0.5).abs().max() < 0.3


def test_a_hundred_raw_points_are_one() -> None:
    plain, percent = head().eval(), head(score_range=(0, 100)).eval()
    percent.load_state_dict(plain.state_dict())
    torch.testing.assert_close(percent(inputs()) * 100, plain(inputs()))


def test_scores_keep_full_precision_under_autocast() -> None:
    own = head().eval()
    vectors, maps = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        scores = own((vectors, maps))
    assert scores.dtype == torch.float32
    assert torch.equal(scores, own((vectors, maps)))
    assert own((vectors.bfloat16(), maps.bfloat16())).dtype == torch.float32


def test_dropout_acts_in_training_alone() -> None:
    own = head(dropout=0.5)
    assert not torch.equal(own(inputs()), own(inputs()))
    assert torch.equal(own.eval()(inputs()), head().eval()(inputs()))


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"score_range must be \(lowest, highest\), got \(1, 0\)"):
        head(score_range=(1, 0))
    with pytest.raises(ConfigError, match=r"HyperHead: dropout must lie .* got -0\.1"):
        head(dropout=-0.1)
    vectors, maps = inputs()
    with pytest.raises(ModelError, match=r"takes vectors \(B, 28\), got shape \(3, 27\)"):
        head()((vectors[:, 1:], maps))


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
        TargetNet()(vectors, weights, biases), value.flatten(), atol=1e-5, rtol=0
    )


def test_each_image_has_a_network_of_its_own() -> None:
    vectors, weights, biases = made(3)
    scores = TargetNet()(vectors, weights, biases)
    for k in range(3):
        value = vectors[k]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            value = (weight[k] @ value + bias[k]).sigmoid()
        expected = weights[-1][k] @ value + biases[-1][k]
        torch.testing.assert_close(scores[k : k + 1], expected, atol=1e-5, rtol=0)


def test_one_image_gives_one_score_in_a_vector() -> None:
    assert TargetNet()(*made(1)).shape == (1,)
    assert TargetNet()(*made(0)).shape == (0,)


@pytest.mark.parametrize("dropped", [1, 3])
def test_dropout_stands_behind_the_first_layers_in_training_alone(dropped: int) -> None:
    vectors, weights, biases = made(4)
    net = TargetNet(dropout=0.5, dropped=dropped)
    seen: list[tuple[int, ...]] = []
    net.dropout.register_forward_hook(lambda _, args, __: seen.append(tuple(args[0].shape)))
    first, second = (net(vectors, weights, biases) for _ in range(2))
    assert not torch.equal(first, second)
    assert seen == [(4, size, 1) for size in SIZES[1 : 1 + dropped]] * 2
    assert torch.equal(net.eval()(vectors, weights, biases), TargetNet()(vectors, weights, biases))


def test_values_that_cannot_be_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"TargetNet: dropout must lie in 0\.\.1, below 1, got 1\.0"
    ):
        TargetNet(dropout=1.0)
    with pytest.raises(ConfigError, match="dropped must be >= 0, got -1"):
        TargetNet(dropped=-1)
