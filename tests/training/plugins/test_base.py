"""Plugins whose hooks would never run are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.training.plugins.base import HOOKS, ContinualPlugin


def test_a_misspelt_hook_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Wrong\.after_train_exp is not a hook .*after_training_exp"
    ):

        class Wrong(ContinualPlugin):
            def after_train_exp(self, strategy: Any) -> None: ...


def test_a_plugin_without_a_declared_state_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Stateless does not declare its state.*saved = "):

        class Stateless(ContinualPlugin):
            def before_backward(self, strategy: Any, **_: Any) -> None: ...

    with pytest.raises(TypeError, match=r"Half does not declare its state"):

        class Half(ContinualPlugin):
            def state_dict(self) -> dict[str, Any]:
                return {}


def test_declared_attributes_and_parts_are_saved_and_loaded() -> None:
    class Whole(ContinualPlugin):
        saved = ("_count",)
        saved_parts = ("part", "none")

        def __init__(self, count: int) -> None:
            super().__init__()
            self._count = count
            self.part = nn.Linear(1, 1)
            self.none = None

    first, second = Whole(3), Whole(5)
    state = first.state_dict()
    assert state["count"] == 3
    assert state["none"] == {}
    second.load_state_dict(state)
    assert second.state_dict()["count"] == 3
    assert torch.equal(second.part.weight, first.part.weight)


def test_hooks_are_avalanches() -> None:
    assert {"before_backward", "after_training_exp", "before_eval_forward"} <= HOOKS
    assert "after_train_exp" not in HOOKS
