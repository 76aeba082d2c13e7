"""Tests of cliqa.api.plugins: our methods by their names."""

from __future__ import annotations

import pytest

import cliqa
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.utils.errors import ConfigError


def test_a_name_and_arguments_make_the_plugin_itself() -> None:
    made = cliqa.plugin("Replay", mem_size=7, policy="reservoir")
    assert type(made) is Replay
    assert (made.mem_size, made.policy) == (7, "reservoir")


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'EWC'"):
        cliqa.plugin("EWX")
    with pytest.raises(ConfigError, match="unexpected argument 'stength'"):
        cliqa.plugin("EWC", stength=1.0)
    with pytest.raises(ConfigError, match="Avalanche's own plugin"):
        cliqa.plugin("ReplayPlugin")
    with pytest.raises(ConfigError, match=r"put the L2\(...\) itself into plugins"):
        cliqa.plugin(L2())
    with pytest.raises(ConfigError, match=r"Put cliqa.training.RunSettings\(seed=...\)"):
        cliqa.plugin("L2", run_seed=3)
