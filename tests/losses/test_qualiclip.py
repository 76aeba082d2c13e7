from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.losses.qualiclip import QualiCLIPLoss, SimplifiedQualiCLIPLoss
from cliqa.utils.errors import ConfigError, ModelError

Nested = list[list[list[float]]]


@pytest.fixture(params=[(1, 2), (3, 5), (2, 4)])
def cosines(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor]:
    images, levels = request.param
    random = torch.Generator().manual_seed(levels)
    drawn = torch.rand((2, images, 2, levels), generator=random, dtype=torch.float64)
    return drawn[0] * 2 - 1, drawn[1] * 2 - 1


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def hinges(s: Nested, sign: int, margin: float, across: bool) -> float:
    """Return the mean hinge of falling (sign 1) or rising (-1) similarities, in plain loops."""
    terms = []
    for image in s:
        for first in range(2):
            for second in range(2):
                if first != second and not across:
                    continue
                for i, milder in enumerate(image[first]):
                    for worse in image[second][i + 1 :]:
                        terms.append(max(0.0, margin - sign * (milder - worse)))
    return mean(terms)


@pytest.mark.parametrize("across", [False, True])
def test_the_margins_equal_plain_loops(cosines: tuple[Tensor, Tensor], across: bool) -> None:
    sp, sn = (s.tolist() for s in cosines)
    cons = sum(
        mean([max(0.0, abs(a - b) - 0.1) for crops in s for a, b in zip(*crops, strict=True)])
        for s in (sp, sn)
    )
    pos, neg = hinges(sp, 1, 0.3, across), hinges(sn, -1, 0.3, across)
    total, parts = QualiCLIPLoss(0.1, 0.3, 2.0, 3.0, 5.0, across)(*cosines)
    assert list(parts) == ["total", "cons", "pos", "neg"]
    assert [float(parts[name]) for name in ("cons", "pos", "neg")] == pytest.approx(
        [cons, pos, neg]
    )
    assert float(total) == pytest.approx(2 * cons + 3 * pos + 5 * neg)
    assert float(parts["total"]) == float(total)


def test_the_simplified_form_equals_plain_loops(cosines: tuple[Tensor, Tensor]) -> None:
    sp, sn = (s.tolist() for s in cosines)
    last = len(sp[0][0]) - 1
    cons = sum(
        mean([(a - b) ** 2 / 2 for crops in s for a, b in zip(*crops, strict=True)])
        for s in (sp, sn)
    )
    pos = mean([abs(v - (1 - i / last)) for im in sp for crop in im for i, v in enumerate(crop)])
    neg = mean([abs(v - i / last) for im in sn for crop in im for i, v in enumerate(crop)])
    total, parts = SimplifiedQualiCLIPLoss(2.0, 3.0)(*cosines)
    assert list(parts) == ["total", "cons", "pos", "neg"]
    assert [float(parts[name]) for name in ("cons", "pos", "neg")] == pytest.approx(
        [cons, pos, neg]
    )
    assert float(total) == pytest.approx(2 * cons + 3 * (pos + neg))


@pytest.mark.parametrize("loss", [QualiCLIPLoss(), SimplifiedQualiCLIPLoss()])
def test_the_loss_does_not_grow_with_the_batch(
    loss: torch.nn.Module, cosines: tuple[Tensor, Tensor]
) -> None:
    doubled = [torch.cat([s, s]) for s in cosines]
    assert loss(*doubled)[0].item() == pytest.approx(loss(*cosines)[0].item())


def test_a_perfect_order_costs_nothing_and_a_reversed_one_most() -> None:
    falling = torch.linspace(1, -1, 5).expand(3, 2, 5)
    loss = QualiCLIPLoss()
    assert loss(falling, -falling)[0].item() == 0
    worst = loss(-falling, falling)[0].item()
    assert worst == pytest.approx(2 * (0.0675 + 1.0), rel=1e-5)  # the mean gap of levels is 1


@pytest.mark.parametrize("cosine", [-1.0, 0.0, 0.4])
def test_the_targets_are_reachable_with_the_anchors_cosine(cosine: float) -> None:
    good = torch.tensor([1.0, 0.0, 0.0])
    bad = torch.tensor([cosine, math.sqrt(1 - cosine**2), 0.0])
    share = torch.linspace(0, 1, 5)[:, None]
    mixed = (1 - share) * good + share * bad
    rest = (1 - mixed.square().sum(1)).clamp(min=0).sqrt()  # completed to length 1, beside both
    embedding = mixed + rest[:, None] * torch.tensor([0.0, 0.0, 1.0])
    sp, sn = ((embedding @ anchor).expand(1, 2, 5) for anchor in (good, bad))
    assert SimplifiedQualiCLIPLoss(anchor_cosine=cosine)(sp, sn)[0].item() < 1e-6


@pytest.mark.parametrize("loss", [QualiCLIPLoss(), SimplifiedQualiCLIPLoss()])
def test_the_gradient_flows_through_the_total_alone_in_full_precision(
    loss: torch.nn.Module,
) -> None:
    sp = torch.zeros(2, 2, 3, dtype=torch.bfloat16, requires_grad=True)
    total, parts = loss(sp, torch.zeros_like(sp))
    assert total.dtype == torch.float32
    assert not any(part.requires_grad for part in parts.values())
    total.backward()
    assert sp.grad is not None
    assert sp.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("first", "second"),
    [((4,), (4,)), ((4, 2, 5), (4, 2, 4)), ((4, 3, 5), (4, 3, 5)), ((4, 2, 1), (4, 2, 1))],
)
def test_other_shapes_are_refused(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    for loss in (QualiCLIPLoss(), SimplifiedQualiCLIPLoss()):
        with pytest.raises(ModelError, match=r"needs \(B, 2, L\) twice, L >= 2. It is for"):
            loss(torch.zeros(first), torch.zeros(second))


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ModelError, match="the batch is empty"):
        QualiCLIPLoss()(torch.zeros(0, 2, 5), torch.zeros(0, 2, 5))


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (QualiCLIPLoss, {"margin_rank": -0.1}, "QualiCLIPLoss: margins and weights must be at"),
        (QualiCLIPLoss, {"weight_positive": -1}, "margins and weights must be at least 0"),
        (SimplifiedQualiCLIPLoss, {"weight_rank": 0, "weight_consistency": 0}, "every weight is 0"),
        (SimplifiedQualiCLIPLoss, {"anchor_cosine": 1}, "below 1, got 1. Equal anchors cannot"),
    ],
)
def test_wrong_arguments_are_refused(cls: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cls(**arguments)
