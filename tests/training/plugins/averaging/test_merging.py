"""Models merged after each experience: which weights, where the next one starts, and resuming."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.engine.build import build
from cliqa.training.plugins.averaging.merging import ModelMerging, recompute_statistics
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.views.views import copied_tensors
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]

CASES: dict[str, Callable[[], ModelMerging]] = {
    "uniform": lambda: ModelMerging(),
    "ema": lambda: ModelMerging("ema", decay=0.3),
    "fisher": lambda: ModelMerging("fisher", start="base", n_samples=8),
    "ties": lambda: ModelMerging("ties", keep=0.5),
    "ties-first": lambda: ModelMerging("ties", start="base", base="first", norm="recompute"),
}


class Trace(ContinualPlugin):
    """Keeps the weights before an experience, and after each of its steps."""

    saved = ()

    def before_training_exp(self, strategy: Any, **_: Any) -> None:
        self.start = copied_tensors(strategy.model)
        self.steps: list[dict[str, Tensor]] = []

    def after_update(self, strategy: Any, **_: Any) -> None:
        self.steps.append(copied_tensors(strategy.model))


def ends(strategy: Any, stream: Any, trace: Trace) -> tuple[list[Any], list[Any], list[Any]]:
    """Return each experience's first weights, its last ones, and the model after it."""
    starts, last, merged = [], [], []
    for index in range(3):
        strategy.train_step(index, [stream.train_stream[index]])
        starts.append(trace.start)
        last.append(trace.steps[-1])
        merged.append(copied_tensors(strategy.model))
    return starts, last, merged


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


def test_the_model_is_the_mean_of_what_was_trained(make_strategy: Make, tiny_stream: Any) -> None:
    trace = Trace()
    strategy = make_strategy([ModelMerging(), trace], epochs=1)
    starts, last, merged = ends(strategy, tiny_stream, trace)
    assert same(merged[0], last[0])  # the first experience is fine-tuning, to the bit
    for index in (1, 2):
        assert same(starts[index], merged[index - 1])
        for name, weight in merged[index].items():
            if weight.is_floating_point():  # running statistics too
                mean = torch.stack([each[name] for each in last[: index + 1]]).mean(0)
                assert torch.allclose(weight, mean, atol=1e-6), name
            else:
                assert torch.equal(weight, last[index][name])


@pytest.mark.parametrize("base", ["init", "first"])
def test_experiences_can_start_from_a_base(
    base: str, make_strategy: Make, tiny_stream: Any
) -> None:
    trace = Trace()
    plugin = ModelMerging("ties", start="base", base=base, keep=1.0, scale=0.5)
    strategy = make_strategy([plugin, trace], epochs=1)
    starts, last, merged = ends(strategy, tiny_stream, trace)
    expected = starts[0] if base == "init" else merged[0]
    assert same(starts[1], expected)
    assert same(starts[2], expected)
    vectors = [each["head.bias"] - expected["head.bias"] for each in last]
    total = torch.stack(vectors).sum(0)
    agree = torch.stack([v * (v.sign() == total.sign()) for v in vectors])
    mean = agree.sum(0) / (agree != 0).sum(0).clamp_min(1)
    found = merged[2]["head.bias"] - expected["head.bias"]
    assert torch.allclose(found, 0.5 * mean, atol=1e-6)


def test_without_decay_it_is_fine_tuning_to_the_bit(
    make_strategy: Make, tiny_stream: Any, assert_same: Callable[..., None]
) -> None:
    naive, merging = make_strategy(), make_strategy([ModelMerging("ema", decay=0.0)])
    for strategy in (naive, merging):
        for index in range(3):
            strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert_same(merging.model.state_dict(), naive.model.state_dict())


def test_the_fisher_decides_over_each_weight(make_strategy: Make, tiny_stream: Any) -> None:
    found = {}
    for method in ("uniform", "fisher"):
        trace = Trace()
        strategy = make_strategy([ModelMerging(method), trace], epochs=1)
        starts, last, merged = ends(strategy, tiny_stream, trace)
        low = torch.minimum(last[0]["head.weight"], last[1]["head.weight"])
        high = torch.maximum(last[0]["head.weight"], last[1]["head.weight"])
        mean = merged[1]["head.weight"]
        assert ((low - 1e-6 <= mean) & (mean <= high + 1e-6)).all()
        found[method] = mean
    assert not torch.allclose(found["uniform"], found["fisher"], atol=1e-5)


def test_plugins_behind_it_see_the_merge(make_strategy: Make, tiny_stream: Any) -> None:
    l2 = L2(0.1)
    strategy = make_strategy([ModelMerging(), l2], epochs=1)
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    anchor = l2.state_dict()["anchors"][-1]
    assert torch.equal(anchor["head.weight"], strategy.model.head.weight)


@pytest.mark.parametrize("case", CASES)
def test_scores_resume_at_any_epoch_is_bit_identical(
    case: str, make_strategy: Make, short_stream: Any, assert_resumable: Callable[..., None]
) -> None:
    assert_resumable(lambda: make_strategy([CASES[case]()], epochs=2), short_stream, 3)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["fisher", "ties"])
def test_classes_resume_and_their_head_grows(
    case: str, split_config: dict[str, Any], assert_resumable: Callable[..., None]
) -> None:
    split_config["cl_strategy"].update(type="Naive", train_epochs=1)
    split_config["cl_strategy"].pop("mem_size", None)

    def make() -> Any:
        strategy = build(split_config, torch.device("cpu")).strategy
        strategy.plugins.insert(0, CASES[case]())
        return strategy

    assert_resumable(make, build(split_config, torch.device("cpu")).benchmark, 1)


def test_statistics_are_measured_anew_on_the_newest_samples() -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten())
    images = 3 * torch.randn(12, 3, 5, 5) + 1
    strategy: Any = type("Holder", (), {"model": model, "plugins": []})()
    strategy.rows_of = lambda function, _: torch.cat([function(p) for p in images.split(4)])
    model.train()
    model[2].eval()
    recompute_statistics(strategy)
    maps = model[0](images)
    assert torch.allclose(model[1].running_mean, maps.mean((0, 2, 3)), atol=1e-5)
    expected = torch.stack([p.var((0, 2, 3)) for p in maps.split(4)]).mean(0)
    assert torch.allclose(model[1].running_var, expected, rtol=1e-4)
    assert [module.training for module in model] == [True, True, False, True]
    assert model[1].momentum == 0.1


def test_methods_that_keep_experiences_apart_are_refused(make_strategy: Make) -> None:
    message = r"ModelMerging: PackNet keeps weights of each experience apart.*or 'PackNet'"
    with pytest.raises(ConfigError, match=message):
        make_strategy([PackNet(0.5), ModelMerging()])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "slerp"}, "method must be one of 'uniform', 'ema', 'fisher', 'ties', got"),
        ({"start": "last"}, "start must be one of 'merged', 'base', got 'last'"),
        ({"base": "second"}, "base must be one of 'init', 'first', got 'second'"),
        ({"norm": "reset"}, "norm must be one of 'average', 'recompute', got 'reset'"),
        ({"decay": 1.0}, r"decay must lie in 0\.\.1, below 1, got 1\.0"),
        ({"keep": 0.0}, r"keep must be above 0, got 0\.0"),
        ({"keep": 2.0}, r"keep must lie in 0\.\.1, got 2\.0"),
        ({"scale": -1.0}, r"scale must be >= 0, got -1\.0"),
        ({"n_samples": -1}, "n_samples must be an integer >= 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"ModelMerging: {message}"):
        ModelMerging(**arguments)


def test_the_state_is_as_large_after_three_experiences_as_after_two(
    make_strategy: Make, tiny_stream: Any
) -> None:
    plugin = ModelMerging("ties")
    strategy = make_strategy([plugin], epochs=1)
    sizes = []
    for index in range(3):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
        leaves = torch.utils._pytree.tree_leaves(copy.deepcopy(plugin.state_dict()))
        sizes.append(sum(leaf.numel() for leaf in leaves if isinstance(leaf, Tensor)))
    assert sizes[1] == sizes[2]
