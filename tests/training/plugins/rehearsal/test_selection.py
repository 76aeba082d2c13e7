"""The order in which samples are remembered: its definitions, and what it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cliqa.training.plugins.rehearsal.selection import (
    LOOKS,
    SELECTIONS,
    coverage_order,
    disagreement,
    herding_order,
    largest_order,
    measured_values,
    sample_losses,
    selected_keys,
    spread_order,
)
from cliqa.utils.errors import ModelError

Make = Callable[..., Any]


@pytest.fixture
def cloud() -> Tensor:
    """Return 60 points in 3 dimensions."""
    return torch.randn(60, 3, generator=torch.Generator().manual_seed(0)) + 1.0


def test_herding_keeps_the_mean_as_its_definition_says(cloud: Tensor) -> None:
    order = herding_order(cloud, 12).tolist()
    points = (cloud / cloud.norm(dim=1, keepdim=True)).double().numpy()
    chosen: list[int] = []
    mean = points.mean(0)
    for _ in range(12):  # algorithm 4 of iCaRL, word by word
        gaps = [
            9.0 if i in chosen else float(np.linalg.norm(mean - points[[*chosen, i]].mean(0)))
            for i in range(60)
        ]
        chosen.append(int(np.argmin(gaps)))
    assert order[:12] == chosen
    assert sorted(order) == list(range(60))
    gap = np.linalg.norm(points[chosen].mean(0) - points.mean(0))
    random = np.random.default_rng(0)
    drawn = [points[random.permutation(60)[:12]].mean(0) for _ in range(50)]
    assert gap < 0.5 * np.mean([np.linalg.norm(other - mean) for other in drawn])


def test_coverage_takes_the_farthest_and_leaves_nothing_far(cloud: Tensor) -> None:
    order = coverage_order(cloud, 12)
    gaps = torch.cdist(cloud.double(), cloud.double())
    assert int(order[0]) == int((cloud - cloud.mean(0)).norm(dim=1).argmin())
    for place in range(1, 12):
        nearest = gaps[:, order[:place]].amin(1)
        assert float(nearest[order[place]]) == pytest.approx(float(nearest.max()))
    radius = float(gaps[:, order[:12]].amin(1).max())
    random = [float(gaps[:, torch.randperm(60)[:12]].amin(1).max()) for _ in range(20)]
    assert radius < min(random)
    assert sorted(order.tolist()) == list(range(60))


@pytest.mark.parametrize("order", [herding_order, coverage_order])
def test_equal_samples_are_each_taken_once(order: Callable[[Tensor, int], Tensor]) -> None:
    assert sorted(order(torch.ones(5, 2), 9).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 2, 7, 64, 100])
def test_every_prefix_is_spread_over_the_quantiles(count: int) -> None:
    values = torch.rand(count, generator=torch.Generator().manual_seed(1)) ** 4
    order = spread_order(values)
    assert sorted(order.tolist()) == list(range(count))
    ranks = values.argsort().argsort()[order]
    for prefix in (2, 4, 8, 16):
        if prefix <= count:  # one of every prefix-th part of the sorted values
            assert sorted((ranks[:prefix] * prefix // count).tolist()) == list(range(prefix))


def test_the_largest_come_first() -> None:
    assert largest_order(torch.tensor([0.1, 3.0, 2.0])).tolist() == [1, 2, 0]


def test_each_group_has_its_own_order() -> None:
    values = torch.tensor([0.1, 0.9, 0.5, 0.2, 0.8])
    groups = torch.tensor([0, 0, 0, 1, 1])
    random = torch.full((5,), 0.5, dtype=torch.float64)
    keys = selected_keys("loss", random, groups, values, 5)
    assert keys.tolist() == pytest.approx([2.5 / 3, 0.5 / 3, 1.5 / 3, 1.5 / 2, 0.5 / 2])


@pytest.mark.parametrize("selection", [name for name in SELECTIONS if name != "random"])
def test_between_equal_values_the_seed_decides(selection: str) -> None:
    values, groups = torch.ones(40, 2), torch.zeros(40, dtype=torch.long)
    values = values if selection in ("herding", "coverage") else values[:, 0]

    def first(seed: int) -> list[int]:
        random = torch.rand(40, generator=torch.Generator().manual_seed(seed)).double()
        return selected_keys(selection, random, groups, values, 10).argsort()[:10].tolist()

    assert first(0) == first(0)
    assert set(first(0)) != set(first(1))
    assert set(first(0)) != set(range(10))


def test_losses_of_single_samples() -> None:
    scores = sample_losses(torch.tensor([0.5, 1.0]), torch.tensor([0.0, 1.0]))
    assert scores.tolist() == [0.25, 0.0]
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    expected = [math.log(1 + math.exp(-2)), math.log(2)]
    assert sample_losses(logits, torch.tensor([0, 1])).tolist() == pytest.approx(expected)


def test_uncertainty_is_a_spread_of_scores_or_an_entropy_of_classes() -> None:
    found = disagreement(torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
    assert found.tolist() == [0.5, 0.0]
    sure, torn = [100.0, 0.0], [0.0, 100.0]
    logits = torch.tensor([[sure, sure], [torn, sure]])  # two looks at two samples
    assert disagreement(logits).tolist() == pytest.approx([math.log(2), 0.0])


def test_what_is_measured_is_what_the_model_says(over_scores: Make, teach: Make) -> None:
    parts = over_scores(train_epochs=1)
    teach(parts, 1)
    strategy = parts.strategy
    strategy.experience = parts.benchmark.train_stream[0]
    data = strategy.experience.dataset
    scores = torch.tensor([float(score) for score in data.targets])
    said = torch.as_tensor(strategy.predict(data.eval())[0])
    strategy.model.train()
    assert torch.allclose(measured_values(strategy, "loss"), (said - scores).square())
    assert torch.allclose(measured_values(strategy, "score_balanced").float(), scores)
    features = measured_values(strategy, "herding")
    assert features.shape == (len(data), 8)
    images = torch.stack([data.eval()[i][0] for i in range(4)])
    strategy.model.eval()
    maps = strategy.model.backbone(images)[0]
    assert torch.allclose(features[:4], maps.mean((2, 3)), atol=1e-6)
    strategy.model.train()
    looks: list[Any] = []
    hook = strategy.model.head.register_forward_hook(lambda *_: looks.append(1))
    torch.manual_seed(0)
    spread = measured_values(strategy, "uncertainty")
    hook.remove()
    assert len(looks) == LOOKS * -(-len(data) // 8)
    assert spread.shape == (len(data),)
    assert (spread > 0).all()  # each look is another crop
    assert strategy.model.training


@pytest.mark.parametrize("selection", ["herding", "coverage"])
def test_a_model_without_features_is_refused(selection: str, over_scores: Make) -> None:
    plugin = over_scores(type="Replay", selection=selection).strategy.plugins[0]
    with pytest.raises(ModelError, match=rf"Replay: a Linear has neither.*'{selection}' needs the"):
        plugin.prepare(nn.Linear(2, 1))
    over_scores(type="Replay", selection="loss").strategy.plugins[0].prepare(nn.Linear(2, 1))


def test_the_rainbow_has_sure_and_unsure_samples() -> None:
    unsure = torch.linspace(0, 1, 100)
    random = torch.rand(100, generator=torch.Generator().manual_seed(0)).double()
    groups = torch.zeros(100, dtype=torch.long)
    kept = selected_keys("rainbow", random, groups, unsure, 100).argsort()[:10]
    gaps = unsure[kept].sort().values.diff()
    assert (gaps < 0.14).all()
    assert unsure[kept].amax() > 0.85
