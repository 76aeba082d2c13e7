"""A ridge regression over images that arrive in chunks is the one over whole experiences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.benchmarks.online import OnlineStream, as_online
from cliqa.engine.build import build
from cliqa.engine.check import check_config
from cliqa.training.supervised.ridge_solution import solve
from cliqa.utils.errors import ConfigError

Config = dict[str, Any]

CPU = torch.device("cpu")

CHUNKS: Config = {"chunk_size": 7}  # the last one of an experience is smaller


def as_ridge(config: Config) -> Config:
    """Return a config with the strategy in place of replay."""
    section = config["cl_strategy"]
    section.pop("mem_size"), section.pop("scheduler")
    # one image a batch: float32 features depend on who else is in it
    section |= {"type": "StreamingRidge", "train_epochs": 1, "strength": "gcv", "eval_mb_size": 1}
    return config


@pytest.fixture
def scores(tiny_config: Config) -> Config:
    """Return a config over images with scores."""
    backbone = {"type": "SmallConvNet", "in_channels": 3, "channels": [4, 8]}
    head = {"type": "RidgeHead", "in_channels": 8, "random_features": 6}
    tiny_config["model"] |= {"backbone": backbone, "head": head}
    return as_ridge(tiny_config)


@pytest.fixture
def features(features_config: Config) -> Config:
    """Return a config over precomputed features with classes."""
    head = {"type": "RidgeHead", "num_classes": 3, "in_channels": 6, "random_features": 10}
    features_config["model"]["head"] = head
    return as_ridge(features_config)


def trained(config: Config, note: Callable[[Any], None] = lambda _: None, state: Any = None) -> Any:
    """Return a config's parts after training with the validation data, or from a state on."""
    parts: Any = build(copy.deepcopy(config), CPU)
    strategy, validation = parts.strategy, parts.benchmark.streams.get("val", ())
    steps = strategy.steps(parts.benchmark.train_stream)
    first = 0
    if state is not None:
        strategy.load_state_dict(copy.deepcopy(state))
        first = state["step_index"]
    strategy.on_epoch = lambda _: note(strategy)
    for index in range(first, len(steps)):
        strategy.train_step(index, steps[index], list(validation)[index : index + 1])
    return parts


def assert_equal_solutions(first: Any, second: Any, kind: str) -> None:
    """Compare sums and solutions of two runs to float64's rounding."""
    one, other = first.strategy, second.strategy
    for sums, others in ((one.sums, other.sums), (one.held, other.held)):
        assert sums.sets.keys() == others.sets.keys()
        for name in sums.sets:
            for key, value in sums.sets[name].state_dict().items():
                torch.testing.assert_close(
                    getattr(others.sets[name], key), value, rtol=0, atol=1e-8
                )
        for name, value in sums.products.items():
            torch.testing.assert_close(others.products[name], value, rtol=0, atol=1e-8)
    assert one.strength_used == other.strength_used
    held = one.held if one.held.sets else None
    found, expected = (solve(s.sums, s.strength, s.align, held) for s in (other, one))
    torch.testing.assert_close(found.weight, expected.weight, rtol=0, atol=1e-8)
    torch.testing.assert_close(found.bias, expected.bias, rtol=0, atol=1e-8)
    assert torch.allclose(first.model.head.weight, second.model.head.weight, atol=1e-6), kind


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("scores", {}),
        ("scores", {"strength": "validation"}),
        ("scores", {"align": "affine", "weighting": "sets", "keep_sets": True}),
        ("features", {}),
        ("features", {"strength": 0.1, "weighting": "sets"}),
    ],
)
def test_after_all_chunks_it_is_that_without_chunks(
    kind: str, options: Config, request: pytest.FixtureRequest
) -> None:
    config = request.getfixturevalue(kind)
    config["cl_strategy"] |= options
    whole = trained(config)
    config["scenario"]["online"] = CHUNKS
    counts: list[float] = []
    chunked = trained(
        config, lambda s: counts.append(sum(float(o.count) for o in s.sums.ordered()))
    )
    assert_equal_solutions(whole, chunked, kind)
    arrived = [len(c) for e in chunked.benchmark.train_stream for c in e.arrival.chunks]
    assert counts == torch.tensor(arrived).cumsum(0).tolist()  # every image once, chunk by chunk
    assert len(arrived) > 2 * len(chunked.benchmark.train_stream)


def test_one_chunk_an_experience_changes_no_bit(
    scores: Config, assert_same: Callable[..., None]
) -> None:
    scores["cl_strategy"]["eval_mb_size"] = 5
    whole = trained(scores).strategy.state_dict()
    scores["scenario"]["online"] = {"chunk_size": 1000}
    assert_same(trained(scores).strategy.state_dict(), whole)


@pytest.mark.parametrize("boundaries", ["known", "hidden"])
def test_mixed_experiences_have_the_same_solution(scores: Config, boundaries: str) -> None:
    whole = solve(trained(scores).strategy.sums, 0.1)
    scores["scenario"]["online"] = {**CHUNKS, "blur": 0.3, "boundaries": boundaries}
    mixed = trained(scores)
    found = solve(mixed.strategy.sums, 0.1)
    torch.testing.assert_close(found.weight, whole.weight, rtol=0, atol=1e-8)
    assert all(len(e.arrival.chunks) > 2 for e in mixed.benchmark.train_stream)


def test_every_chunk_is_learnt_at_once(scores: Config) -> None:
    """After each chunk the model is the solution of what has come."""
    scores["scenario"]["online"] = CHUNKS
    weights = []

    def note(strategy: Any) -> None:
        weights.append(strategy.head.weight.clone())
        expected = solve(strategy.sums, "gcv")
        assert strategy.strength_used == expected.strength

    trained(scores, note)
    assert not any(torch.equal(a, b) for a, b in zip(weights, weights[1:], strict=False))


@pytest.mark.parametrize("strength", ["gcv", "validation"])
def test_every_chunks_state_resumes(
    scores: Config, strength: str, assert_same: Callable[..., None]
) -> None:
    scores["cl_strategy"]["strength"] = strength
    scores["scenario"]["online"] = {**CHUNKS, "blur": 0.2}
    saved: list[Any] = []
    whole = trained(scores, lambda s: saved.append(copy.deepcopy(s.state_dict())))
    assert {state["epochs_done"] for state in saved} == {1, 2, 3, 4}
    for state in saved[::3]:
        torch.manual_seed(9)
        resumed = trained(scores, state=state)
        assert_same(resumed.strategy.state_dict(), whole.strategy.state_dict())
    assert [float(one.count) for one in whole.strategy.held.ordered()] == (
        [4.0] * 3 if strength == "validation" else []
    )


HIDDEN: Config = {"boundaries": "hidden"}


@pytest.mark.parametrize(
    ("options", "online", "message"),
    [
        ({"first_session": 2}, {}, r"first_session=2: trains on the whole first .* Set it to 0"),
        ({"standardize": "first"}, {}, r"standardize='first': .* Set standardize='image', or"),
        ({"strength": "validation"}, HIDDEN, r"strength='validation': .* or strength='gcv'"),
        ({"align": "offset"}, HIDDEN, r"align='offset': must know .*scenario.online.boundar"),
        (
            {"align": "offset"},
            {"blur": 0.1},
            r"align='offset': must know .* Set scenario.online.bl",
        ),
        ({"keep_sets": True}, {"blur": 0.1}, r"keep_sets=True: must know .* or leave keep_sets"),
        ({"weighting": "sets"}, HIDDEN, r"weighting='sets': must know which data set an image"),
        ({"keep_best": True}, {}, r"keep_best: chooses among epochs over the same images"),
    ],
)
def test_what_chunks_do_not_allow_is_refused_before_data_are_read(
    scores: Config, options: Config, online: Config, message: str
) -> None:
    scores["cl_strategy"] |= options
    scores["scenario"]["online"] = {**CHUNKS, **online}
    with pytest.raises(ConfigError, match=message):
        check_config(scores)


def test_a_script_is_refused_before_its_first_chunk(scores: Config) -> None:
    for blur, error in ((0.0, "standardize='first'"), (0.2, "keep_sets=True: must know")):
        scores["cl_strategy"] |= {"standardize": "first", "keep_sets": True}
        parts: Any = build(scores, CPU)
        stream = as_online(parts.benchmark, OnlineStream(chunk_size=7, blur=blur)).train_stream
        with pytest.raises(ConfigError, match=error):
            parts.strategy.train_step(0, [stream[0]])
        assert not parts.strategy.sums.sets


def test_validation_data_are_asked_for_before_the_first_chunk(scores: Config) -> None:
    scores["cl_strategy"]["strength"] = "validation"
    scores["scenario"]["online"] = CHUNKS
    parts: Any = build(scores, CPU)
    with pytest.raises(ConfigError, match="strength='validation': a has no validation data. Give"):
        parts.strategy.train_step(0, [parts.benchmark.train_stream[0]])
    assert not parts.strategy.sums.sets
