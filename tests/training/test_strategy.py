"""The `Strategy` protocol: the training loop has all of it, where the protocol says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.batching import Loader
from cliqa.training.loop.template import StreamTemplate
from cliqa.training.own_loop.strategies import OwnLoop
from cliqa.training.plugins.base import HOOKS, ContinualPlugin
from cliqa.training.strategy import Clock, Experience, Samples, Strategy

Make = Callable[..., Any]

IN_A_BATCH = {"mbatch", "mb_x", "mb_y"}
AFTER_FORWARD = {"mb_output"}
ONLINE = {"arrived"}
IN_A_STEP = {"experience", "adapted_dataset", "dataloader", "epochs_done", "resumes_mid_step"}


def members(protocol: type) -> set[str]:
    """Return the names that a protocol declares."""
    own = {**vars(protocol), **protocol.__annotations__}
    return {name for name in own if not name.startswith("_")}


def has(strategy: Any, name: str) -> bool:
    """Return whether a strategy has a value of that name."""
    try:
        return getattr(strategy, name, None) is not None
    except AssertionError:  # Avalanche's, for a batch that is not there
        return False


class Observer(ContinualPlugin):
    """Notes in each hook which members of the protocol the strategy lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[str, set[str]] = {}
        self.parts: dict[type, set[str]] = {}

    def look(self, hook: str, strategy: Any) -> None:
        found = {n for n in members(Strategy) - ONLINE if not has(strategy, n)}
        self.missing[hook] = self.missing.get(hook, set()) | found
        if hook == "before_backward":
            for kind, part in (
                (Experience, strategy.experience),
                (Samples, strategy.experience.dataset),
                (Samples, strategy.adapted_dataset),
                (Loader, strategy.dataloader),
                (Clock, strategy.clock),
            ):
                self.parts[kind] = {name for name in members(kind) if not hasattr(part, name)}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""


def _hook(name: str) -> Callable[..., None]:
    return lambda self, strategy, **_: self.look(name, strategy)


for _name in HOOKS:
    setattr(Observer, _name, _hook(_name))


@pytest.fixture
def observer(make_strategy: Make, tiny_stream: QualityStream) -> Observer:
    plugin = Observer()
    strategy = make_strategy(plugins=[plugin])
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.eval(tiny_stream.test_stream)
    return plugin


def test_every_hook_has_what_the_protocol_promises(observer: Observer) -> None:
    later = IN_A_BATCH | AFTER_FORWARD | {"loss"}
    for hook, missing in observer.missing.items():
        outside = hook in ("before_training", "before_eval") or "adaptation" in hook
        expected = later | IN_A_STEP if outside else later
        if "iteration" in hook or "forward" in hook or "backward" in hook or "update" in hook:
            expected = expected - IN_A_BATCH
        if "after" in hook and ("forward" in hook or "iteration" in hook):
            expected = expected - AFTER_FORWARD
        if "backward" in hook or "update" in hook:
            expected = set()
        assert missing <= expected, hook


def test_all_hooks_were_called(observer: Observer) -> None:
    adaptation = {name for name in HOOKS if "adaptation" in name}
    assert HOOKS - set(observer.missing) - adaptation == set()


def test_experiences_samples_loaders_and_clocks_have_what_they_promise(observer: Observer) -> None:
    assert observer.parts == {Experience: set(), Samples: set(), Loader: set(), Clock: set()}


def test_every_method_of_the_protocol_is_the_templates() -> None:
    methods = {name for name in members(Strategy) if callable(vars(Strategy).get(name))}
    assert {name for name in methods if not callable(getattr(StreamTemplate, name, None))} == set()


def test_an_own_loop_has_members_of_the_protocol_alone() -> None:
    own = {n for n in {*vars(OwnLoop), *OwnLoop.__annotations__} if not n.startswith("_")}
    assert own - members(Strategy) == set()
