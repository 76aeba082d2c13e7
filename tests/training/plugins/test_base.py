"""Plugins whose hooks would never run are refused."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.training.plugins.base import HOOKS, ContinualPlugin


def test_a_misspelt_hook_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Wrong\.after_train_exp is not a hook .*after_training_exp"
    ):

        class Wrong(ContinualPlugin):
            def after_train_exp(self, strategy: Any) -> None: ...


def test_a_plugin_without_state_cannot_be_made() -> None:
    class Stateless(ContinualPlugin):
        def before_backward(self, strategy: Any, **_: Any) -> None: ...

    with pytest.raises(TypeError, match="state_dict"):
        Stateless()


def test_hooks_are_avalanches() -> None:
    assert {"before_backward", "after_training_exp", "before_eval_forward"} <= HOOKS
    assert "after_train_exp" not in HOOKS
