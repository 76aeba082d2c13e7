from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cliqa.pretraining.rank_accuracy import ladder_accuracy, to_float
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import EvaluationError


@pytest.fixture
def images() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randint(20, 160, (3, 24, 24), generator=random).byte() for _ in range(3)]


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
