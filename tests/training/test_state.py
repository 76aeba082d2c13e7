"""Which plugins have a state, and that it comes back to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from avalanche.training.plugins.clock import Clock
from avalanche.training.supervised import EWC

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.template import with_stream_template
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.state import capture_plugins, plugin_keys, restore_plugins, without_state
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint

Make = Callable[..., Any]


class Counter(ContinualPlugin):
    """Counts in place, in a nested state."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, Any] = {"steps": [torch.zeros(2)], "name": "x", "pair": (1, None)}

    def after_update(self, strategy: Any, **_: Any) -> None:
        self.counts["steps"][0] += 1

    def state_dict(self) -> dict[str, Any]:
        return self.counts

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counts = state


def test_keys_are_places_and_names(make_strategy: Make) -> None:
    strategy = make_strategy([L2(), L2(), Replay()])
    keys = [key for key, _ in plugin_keys(strategy)]
    assert keys[:3] == ["0.L2", "1.L2", "2.Replay"]
    assert [key.split(".")[1] for key in keys[3:]] == ["Clock"]
    assert any(isinstance(plugin, EvaluationPlugin) for plugin in strategy.plugins)


def test_what_no_checkpoint_holds_is_named(make_strategy: Make) -> None:
    assert without_state(make_strategy([L2(), Replay()])) == []
    assert without_state(make_strategy([L2(), ReplayPlugin(4)])) == ["ReplayPlugin"]

    def ewc(**arguments: Any) -> Any:
        return with_stream_template(EWC)(ewc_lambda=1.0, **arguments)

    assert without_state(make_strategy(cls=ewc)) == ["EWC", "EWCPlugin"]


def test_a_state_survives_a_file(
    make_strategy: Make, tiny_stream: QualityStream, tmp_path: Any, assert_same: Callable[..., None]
) -> None:
    strategy = make_strategy([Counter(), L2(0.1, "all"), Replay(6)], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    state = capture_plugins(strategy)
    save_checkpoint(tmp_path / "s.pth", state)
    fresh = make_strategy([Counter(), L2(0.1, "all"), Replay(6)], epochs=1)
    restore_plugins(fresh, load_checkpoint(tmp_path / "s.pth"))
    assert_same(capture_plugins(fresh), state)
    assert fresh.plugins[0].counts["steps"][0].tolist() == [4, 4]
    assert fresh.plugins[0].counts["pair"] == (1, None)
    assert len(fresh.plugins[2]) == 6


def test_the_clock_is_restored(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy(epochs=2)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    fresh = make_strategy(epochs=2)
    restore_plugins(fresh, capture_plugins(strategy))
    clock = next(plugin for plugin in fresh.plugins if isinstance(plugin, Clock))
    assert (clock.train_iterations, clock.train_exp_counter) == (8, 1)


def test_a_restored_plugin_does_not_share_tensors_with_the_state(make_strategy: Make) -> None:
    strategy = make_strategy([Counter()])
    state = capture_plugins(strategy)
    fresh = make_strategy([Counter()])
    restore_plugins(fresh, state)
    fresh.plugins[0].after_update(fresh)
    assert state["0.Counter"]["steps"][0].tolist() == [0, 0]
    assert fresh.plugins[0].counts["steps"][0].tolist() == [1, 1]


def test_plugins_that_a_state_does_not_know_stay_as_they_are(make_strategy: Make) -> None:
    strategy = make_strategy([Counter()])
    strategy.plugins[0].counts["steps"][0] += 3
    restore_plugins(strategy, {"7.Other": {}})
    assert strategy.plugins[0].counts["steps"][0].tolist() == [3, 3]


def test_hooks_of_the_helper_are_called(make_strategy: Make, tiny_stream: QualityStream) -> None:
    strategy = make_strategy([Counter()], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    expected = pytest.approx(len(tiny_stream.train_stream[0].dataset) / 8)
    assert float(strategy.plugins[0].counts["steps"][0][0]) == expected
