"""Importances made fit for a penalty: clipped, rooted, normalised, and parts with factors."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.training.importance.quadratic import QuadraticPenalty, WeightPenalty, trainable
from cliqa.training.importance.shaping import Layers, Shaping
from cliqa.training.plugins.isolation.task_specific import TaskSpecificParts
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.mas import MAS
from cliqa.training.plugins.regularization.si import SI
from cliqa.utils.errors import ConfigError, ModelError

MEASURED = {"body": torch.tensor([[1.0, 4.0], [0.0, 9.0]]), "head": torch.tensor([100.0])}


def shaped(**options: Any) -> dict[str, list[Any]]:
    found = Shaping("X", **options)(MEASURED)
    return {name: part.flatten().tolist() for name, part in found.items()}


def test_by_default_importances_stay_as_they_are() -> None:
    found = Shaping("X")(MEASURED)
    assert all(found[name] is part for name, part in MEASURED.items())
    assert Shaping("X", 0.5, 0.5, "mean")({}) == {}


@pytest.mark.parametrize(
    ("options", "body", "head"),
    [
        ({"clip": 0.8}, [1, 4, 0, 9], [9]),  # 4 of 5 weights stay
        ({"clip": 0.4}, [1, 1, 0, 1], [1]),
        ({"power": 0.5}, [1, 2, 0, 3], [10]),
        ({"normalize": "max"}, [0.01, 0.04, 0, 0.09], [1]),
        ({"normalize": "mean"}, [1 / 22.8, 4 / 22.8, 0, 9 / 22.8], [100 / 22.8]),
        ({"normalize": "layer"}, [1 / 3.5, 4 / 3.5, 0, 9 / 3.5], [1]),
        ({"clip": 0.8, "power": 0.5, "normalize": "max"}, [1 / 3, 2 / 3, 0, 1], [1]),
    ],
)
def test_by_hand(options: dict[str, Any], body: list[float], head: list[float]) -> None:
    found = shaped(**options)
    assert found["body"] == pytest.approx(body)
    assert found["head"] == pytest.approx(head)


@pytest.mark.parametrize("normalize", ["max", "mean", "layer"])
def test_no_importance_at_all_stays_none(normalize: str) -> None:
    found = Shaping("X", normalize=normalize)({"a": torch.zeros(3)})
    assert found["a"].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip": 0.0}, r"X: importance_clip must be above 0, got 0\.0"),
        ({"clip": 1.5}, r"X: importance_clip must lie in 0\.\.1, above 0, got 1\.5"),
        ({"power": -1.0}, r"X: importance_power must be above 0, got -1\.0"),
        ({"normalize": "sum"}, "X: normalize must be one of False, 'max', 'mean', 'layer', got"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Shaping("X", **options)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (["head"], r"EWC: layers must be a dict of factors .* got \['head'\]"),
        ({"head": "0"}, r"EWC: layers\['head'\] must be a number >= 0, got '0'"),
        ({"head": True}, r"EWC: layers\['head'\] must be a number >= 0, got True"),
        ({"head": -1}, r"EWC: layers\['head'\] must be >= 0, got -1"),
    ],
)
def test_wrong_factors_are_refused(factors: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EWC(1.0, layers=factors)


def test_factors_of_parts_that_there_are_not_are_refused_before_training() -> None:
    Layers("L2", {"*.bias": 2.0}).check(network())
    with pytest.raises(ModelError, match=r"L2: layers: 'hed' names no part of the Sequential"):
        L2(1.0, layers={"hed": 0}).prepare(network())


# -------------------------------------------------------------------- in the penalties


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


class Given(QuadraticPenalty):
    """A penalty over importances that the test gives."""

    def learn(self, strategy: Any, measured: dict[str, torch.Tensor]) -> None:
        self._importance = self.shaped(strategy, measured)
        self._anchor = self.held(strategy)


def moved(model: nn.Module) -> dict[str, torch.Tensor]:
    """Move all weights by 0.5, and return how far, squared."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.5)
    return {name: torch.full_like(p, 0.25) for name, p in model.named_parameters()}


def test_the_penalty_is_that_of_the_shaped_and_weighted_importances() -> None:
    model = network()
    measured = {name: torch.rand_like(p) for name, p in model.named_parameters()}
    plugin = Given(3.0, importance_power=0.5, layers={"0.bias": 0, "0": 4.0})
    plugin.learn(SimpleNamespace(model=model, plugins=[plugin]), measured)
    assert plugin.state_dict()["anchor"].keys() == {"0.weight", "2.weight", "2.bias"}
    gaps = moved(model)
    factors = {"0.weight": 4.0, "2.weight": 1.0, "2.bias": 1.0}
    value = sum(f * float((measured[n].sqrt() * gaps[n]).sum()) for n, f in factors.items())
    assert plugin.penalty(model).item() == pytest.approx(0.5 * 3.0 * value, rel=1e-5)
    assert "0.bias" not in plugin.gradient(model)


def test_l2_with_factors_is_the_weighted_distance() -> None:
    model: Any = network()
    plugin = L2(2.0, layers={"0": 3.0, "2.bias": 0})
    plugin.after_training_exp(SimpleNamespace(model=model, plugins=[plugin]))
    moved(model)
    penalty = plugin.penalty(model)
    assert penalty.item() == pytest.approx(0.25 * (3 * 16 + 8), rel=1e-6)
    penalty.backward()
    assert model[0].weight.grad is not None
    assert torch.allclose(model[0].weight.grad, torch.full((4, 3), 2.0 * 3 * 0.5))
    assert model[2].bias.grad is None


@pytest.mark.parametrize("method", [EWC, MAS, SI])
def test_root_importances_hold_more_of_the_weights(
    method: Any, make_strategy: Any, tiny_stream: Any
) -> None:
    """Normalised, the largest is 1; the root lifts all others."""
    found = []
    for power in (1.0, 0.5):
        plugin = method(0.0, normalize="max", importance_power=power)
        strategy = make_strategy([plugin], epochs=1)
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        found.append(plugin.importance)
    for name, plain in found[0].items():
        assert torch.allclose(found[1][name], plain.sqrt(), atol=1e-6)
    assert max(float(part.max()) for part in found[1].values()) == pytest.approx(1.0)


# -------------------------------------------------------------------- a head for each experience

PENALTIES: list[WeightPenalty] = [EWC(2.0), MAS(2.0), SI(2.0), L2(2.0), L2(2.0, "all")]


@pytest.mark.parametrize("plugin", PENALTIES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize(("inference", "free"), [("oracle", True), ("last", False)])
def test_heads_that_each_experience_predicts_with_are_free(
    plugin: WeightPenalty, inference: str, free: bool, make_strategy: Any, tiny_stream: Any
) -> None:
    views = TaskSpecificParts(parts=["head"], inference=inference)
    plugin = copy.deepcopy(plugin)
    strategy = make_strategy([plugin, views], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    names = {name for name, _ in strategy.model.named_parameters()}
    heads = {name for name in names if name.startswith("head.")}
    assert heads
    assert plugin.gradient(strategy.model).keys() == (names - heads if free else names)
    assert trainable(strategy.model).keys() == names
    before = strategy.model.head.weight.detach().clone()
    strategy.train_step(1, [tiny_stream.train_stream[1]])
    assert not torch.equal(strategy.model.head.weight, before)
