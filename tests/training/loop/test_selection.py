"""The best epoch is kept as if training had ended there; without improvement training ends."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.averaging.ema import EMA
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]
Values = Sequence[float | None]


def watched(strategy: Any, values: Values) -> Any:
    """Let a strategy be told these values, epoch by epoch, in every experience."""
    strategy.on_epoch = lambda _: strategy.selection.look(
        strategy, values[strategy.epochs_done - 1]
    )
    return strategy


def states(plugins: Sequence[ContinualPlugin]) -> list[dict[str, Any]]:
    return [plugin.state_dict() for plugin in plugins]


METHODS: dict[str, Callable[[], list[Any]]] = {
    "none": list,
    "si": lambda: [SI(1.0)],
    "der": lambda: [DER(10)],
    "ewc and replay": lambda: [EWC(1.0), Replay(5)],
    "ema": lambda: [EMA(0.8)],
}


@pytest.mark.parametrize("name", METHODS)
def test_the_end_is_that_of_a_training_that_stops_at_the_best_epoch(
    name: str, make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[..., None]
) -> None:
    kept, short = METHODS[name](), METHODS[name]()
    long = watched(make_strategy(kept, epochs=4, keep_best=True), [0.1, 0.5, 0.3, 0.5])
    long.train_step(0, [tiny_stream.train_stream[0]])
    ended = make_strategy(short, epochs=2)
    ended.train_step(0, [tiny_stream.train_stream[0]])
    assert (long.selection.epoch, long.selection.value) == (2, 0.5)  # of two equal ones the first
    assert_same(long.model.state_dict(), ended.model.state_dict())
    assert_same(states(kept), states(short))
    assert not long.optimizer.state
    assert long.state_dict()["selection"]["kept"] == {}


def test_a_best_last_epoch_changes_nothing(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Callable[..., None]
) -> None:
    plain = make_strategy(epochs=2)
    kept = watched(make_strategy(epochs=2, keep_best=True), [0.1, 0.2])
    for index, experience in enumerate(tiny_stream.train_stream):
        plain.train_step(index, [experience])
        kept.train_step(index, [experience])
    assert_same(kept.model.state_dict(), plain.model.state_dict())
    assert_same(kept.optimizer.state_dict(), plain.optimizer.state_dict())


def test_the_snapshot_is_on_its_own(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy([SI(1.0)], epochs=3, keep_best=True)
    seen: list[Any] = []

    def look(_: float) -> None:
        strategy.selection.look(strategy, -float(strategy.epochs_done))
        seen.append(copy.deepcopy(strategy.selection.state_dict()["kept"]))

    strategy.on_epoch = look
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    for later in seen[1:]:
        for key, value in seen[0]["model"].items():
            assert torch.equal(later["model"][key], value)
        for key, value in seen[0]["plugins"]["0.SI"]["omega"].items():
            assert torch.equal(later["plugins"]["0.SI"]["omega"][key], value)


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "epochs"),
    [
        ([0.1, 0.2, 0.2, 0.1, 0.3, 0.4], 2, 0.0, 4),
        ([0.1, 0.2, 0.2, 0.3, 0.2, 0.4], 2, 0.0, 6),
        ([0.1, 0.15, 0.19, 0.3, 0.4, 0.5], 2, 0.1, 3),
        ([0.1, 0.15, 0.21, 0.25, 0.25, 0.25], 2, 0.1, 5),
        ([None, None, 0.1, 0.2, 0.3, 0.4], 2, 0.0, 2),
        ([0.3, 0.2, 0.1, 0.1, 0.1, 0.1], 1, 0.0, 2),
    ],
)
def test_training_ends_after_as_many_validations_without_improvement(
    values: Values,
    patience: int,
    min_delta: float,
    epochs: int,
    make_strategy: Make,
    tiny_stream: QualityStream,
) -> None:
    strategy = make_strategy(epochs=6, patience=patience, min_delta=min_delta)
    watched(strategy, values)
    for index in range(2):  # each experience by its own data
        strategy.train_step(index, [tiny_stream.train_stream[index]])
        assert strategy.epochs_done == epochs


def test_without_any_measure_the_last_weights_stay_with_a_warning(
    make_strategy: Make,
    tiny_stream: QualityStream,
    assert_same: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = make_strategy(epochs=2)
    plain.train_step(0, [tiny_stream.train_stream[0]])
    strategy = watched(make_strategy(epochs=2, keep_best=True), [None, None])
    with caplog.at_level(logging.WARNING):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert "no epoch has a validation measure" in caplog.text
    assert_same(strategy.model.state_dict(), plain.model.state_dict())


def train_two(strategy: Any, stream: QualityStream, first: int = 0) -> None:
    for index in range(first, 2):
        strategy.train_step(index, [stream.train_stream[index]])


class Stop(Exception):  # noqa: N818
    """Ends a run as a kill would."""


@pytest.mark.parametrize("stop_after", range(1, 7))
def test_resume_is_bit_identical(
    stop_after: int,
    make_strategy: Make,
    tiny_stream: QualityStream,
    assert_same: Callable[..., None],
) -> None:
    values = [0.2, 0.1, 0.3, 0.1, 0.1, 0.4]  # the best is the third of five epochs

    def made() -> Any:
        options = {"epochs": 6, "keep_best": True, "patience": 2}
        return watched(make_strategy([SI(1.0), Replay(9)], **options), values)

    whole = made()
    train_two(whole, tiny_stream)
    strategy, saved, count = made(), {}, [0]
    look = strategy.on_epoch

    def save(loss: float) -> None:
        look(loss)
        saved.update(copy.deepcopy(strategy.state_dict()))
        count[0] += 1
        if count[0] == stop_after:
            raise Stop

    strategy.on_epoch = save
    with pytest.raises(Stop):
        train_two(strategy, tiny_stream)
    torch.manual_seed(99)
    resumed = made()
    resumed.load_state_dict(saved)
    train_two(resumed, tiny_stream, first=saved["step_index"])
    assert resumed.selection.epoch == 3
    assert_same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("options", [{"keep_best": True}, {"patience": 3}])
def test_a_method_that_needs_all_epochs_is_refused(
    options: dict[str, Any], make_strategy: Make
) -> None:
    name = next(iter(options))
    with pytest.raises(ConfigError, match=rf"cl_strategy\.{name}: PackNet changes the weights on"):
        make_strategy([PackNet(0.5)], **options)
