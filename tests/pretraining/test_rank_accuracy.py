from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cliqa.pretraining.rank_accuracy import ladder_accuracy, rank_accuracy, to_float
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import EvaluationError


@pytest.fixture
def images() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randint(20, 160, (3, 24, 24), generator=random).byte() for _ in range(3)]


def by_counting(rows: list[list[float]]) -> float:
    pairs = [pair for row in rows for pair in itertools.combinations(row, 2)]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


@pytest.mark.parametrize("values", [3, 1000])
def test_it_is_the_count_of_pairs_with_half_for_ties(values: int) -> None:
    scores = torch.randint(0, values, (40, 5), generator=torch.Generator().manual_seed(1)).float()
    assert rank_accuracy(scores) == pytest.approx(by_counting(scores.tolist()))


def test_a_perfect_a_reversed_and_a_constant_order() -> None:
    falling = torch.arange(5.0).flip(0).expand(7, 5)
    assert rank_accuracy(falling) == 1
    assert rank_accuracy(-falling) == 0
    assert rank_accuracy(torch.zeros(7, 5)) == 0.5


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.zeros(4, 1), r"at least two levels, got shape \(4, 1\)"),
        (torch.zeros(0, 5), r"got shape \(0, 5\)"),
        (torch.zeros(2, 2, 5), r"got shape \(2, 2, 5\)"),
        (torch.tensor([0.1, float("nan")]), "needs finite scores, but one is NaN or infinite"),
    ],
)
def test_invalid_scores_are_refused(scores: Tensor, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        rank_accuracy(scores)


def test_a_scorer_that_sees_brightness_ranks_light_and_not_grain(images: list[Tensor]) -> None:
    ladders = {name: SyntheticDegradation(name) for name in ("darken", "brighten", "saturation")}
    found = ladder_accuracy(lambda batch: batch.mean(dim=(1, 2, 3)), images, ladders)
    assert list(found) == ["darken", "brighten", "saturation", "overall"]
    assert found["darken"] == 1
    assert found["brighten"] == 0
    assert found["overall"] == pytest.approx((1 + 0 + found["saturation"]) / 3)


def test_the_images_are_normalised_after_they_were_degraded(images: list[Tensor]) -> None:
    seen = []

    def scorer(batch: Tensor) -> Tensor:
        seen.append(batch)
        return -torch.arange(5.0)

    ladder = SyntheticDegradation("noise", pristine=False)
    found = ladder_accuracy(scorer, images, {"noise": ladder}, lambda batch: (batch - 0.5) / 0.25)
    assert found == {"noise": 1.0, "overall": 1.0}
    again = ladder_accuracy(scorer, images, {"noise": ladder}, lambda batch: (batch - 0.5) / 0.25)
    assert again == found
    assert torch.equal(seen[0], seen[3])
    back = (seen[0] * 0.25 + 0.5) * 255
    assert (back - images[0]).abs().mean(dim=(1, 2, 3)).tolist() == pytest.approx(
        [5 * 0.8, 8, 12, 16, 20], rel=0.1
    )  # the mean of |normal| is 0.8 of its spread


@pytest.mark.parametrize(
    ("count", "scorer", "message"),
    [
        (0, torch.zeros_like, "at least one image and one degradation"),
        (1, torch.zeros_like, r"returned shape \(5, 3, 24, 24\) for 5 images.*\(5,\)"),
    ],
)
def test_mistakes_are_named(
    count: int, scorer: Callable[[Tensor], Tensor], message: str, images: list[Tensor]
) -> None:
    with pytest.raises(EvaluationError, match=message):
        ladder_accuracy(scorer, images[:count], {"blur": SyntheticDegradation("blur")})


def test_bytes_become_shares() -> None:
    assert to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0, 1]
    assert to_float(torch.tensor([0.25], dtype=torch.float64)).dtype == torch.float32
