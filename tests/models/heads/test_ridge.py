"""The ridge head: random features, a closed-form read-out, unseen classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cliqa.models.heads.prototype import BELOW_ALL
from cliqa.models.heads.ridge import RidgeHead, features_of
from cliqa.utils.errors import ConfigError, ModelError


@pytest.fixture
def vectors() -> Tensor:
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 6)


def test_random_features_are_the_rectified_projection_of_the_normalised_vector(
    vectors: Tensor,
) -> None:
    head = RidgeHead(5, random_features=3)
    own = (vectors - vectors.mean(1, keepdim=True)) / vectors.std(1, unbiased=False, keepdim=True)
    expected = torch.cat([vectors, (own @ head.projection).clamp(min=0)], dim=1)
    assert torch.allclose(head.lift(vectors), expected, atol=1e-5)
    assert torch.allclose(head.lift((vectors,))[2:3], head.lift(vectors[2:3]))  # of one image alone


def test_fixed_statistics_replace_the_image_s_own(vectors: Tensor) -> None:
    head = RidgeHead(5, random_features=3)
    std = torch.tensor([1.0, 2.0, 0.0, 4.0, 5.0])
    head.normalise_by(torch.arange(5.0), std)
    inputs = (vectors - torch.arange(5)) / torch.tensor([1.0, 2.0, torch.inf, 4.0, 5.0])
    expected = (inputs @ head.projection).clamp(min=0)
    assert torch.allclose(head.lift(vectors)[:, 5:], expected, atol=1e-5)


def test_the_projection_is_fixed_by_the_seed() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(RidgeHead(5, random_features=3).projection)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_scores_follow_the_solution(vectors: Tensor) -> None:
    head = RidgeHead(5, random_features=0)
    assert torch.equal(head(vectors), torch.zeros(7))  # before any
    mean, inverse, weight = torch.ones(5), torch.full((5,), 0.5), torch.arange(5.0)[:, None]
    head.assign(mean, inverse, weight, torch.tensor([0.25]), torch.tensor([True]))
    assert torch.allclose(head(vectors), ((vectors - 1) / 2 @ weight)[:, 0] + 0.25)


def test_an_unseen_class_is_below_all_others(vectors: Tensor) -> None:
    head = RidgeHead(5, num_classes=3, random_features=0, temperature=2.0)
    assert head(vectors).unique().numel() == 1
    weight = torch.randn(5, 3)
    seen = torch.tensor([True, False, True])
    head.assign(torch.zeros(5), torch.ones(5), weight, torch.zeros(3), seen)
    logits = head(vectors)
    assert torch.allclose(logits[:, [0, 2]], 2 * (vectors @ weight)[:, [0, 2]], atol=1e-4)
    lowest = logits[:, [0, 2]].amin(1)
    assert torch.allclose(logits[:, 1], lowest - BELOW_ALL)


def test_a_state_survives_loading(vectors: Tensor) -> None:
    head, other = RidgeHead(5, 2, 4), RidgeHead(5, 2, 4)
    head.normalise_by(torch.zeros(5), torch.ones(5))
    head.weight.normal_()
    head.inverse_std.fill_(1.0)
    head.seen.fill_(True)
    other.load_state_dict(head.state_dict())
    assert torch.equal(head(vectors), other(vectors))


def test_rows_are_scores_or_one_hot_classes() -> None:
    assert RidgeHead(5).rows(torch.tensor([0.5, 0.1])).tolist() == [[0.5], pytest.approx([0.1])]
    assert RidgeHead(5, 3).rows(torch.tensor([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the samples have classes\. Build it with num_classes"):
        RidgeHead(5).rows(torch.tensor([1]))
    with pytest.raises(ConfigError, match=r"the samples have scores\. Build it without num_cl"):
        RidgeHead(5, 3).rows(torch.tensor([0.5]))
    with pytest.raises(ModelError, match=r"class 3 does not exist; the head has classes 0\.\.2"):
        RidgeHead(5, 3).rows(torch.tensor([3]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, r"in_channels must be an integer >= 1"),
        ({"in_channels": 5, "random_features": -1}, r"random_features must be an integer >= 0"),
        ({"in_channels": 5, "num_classes": 0}, r"num_classes must be an integer >= 1"),
        ({"in_channels": 5, "temperature": 0.0}, r"temperature must be above 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RidgeHead(**arguments)


def test_features_of_another_length_are_refused(vectors: Tensor) -> None:
    with pytest.raises(ModelError, match=r"Set in_channels=5 in model\.head"):
        RidgeHead(4).lift(vectors)


def test_the_head_s_inputs_are_those_of_either_kind_of_model(vectors: Tensor) -> None:
    class Scores(torch.nn.Module):
        def features(self, x: Tensor) -> Tensor:
            return x + 1

    class Classes(torch.nn.Module):
        def extract_feat(self, x: Tensor) -> tuple[Tensor, ...]:
            return x, x + 2

    assert torch.equal(features_of(Scores(), vectors), vectors + 1)
    assert torch.equal(features_of(Classes(), vectors), vectors + 2)
