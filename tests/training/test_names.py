"""What ``from cliqa.training import ...`` offers, and what it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import cliqa.training
from cliqa.registry import PLUGINS, STRATEGIES

LIGHT = """
import sys, cliqa.training
heavy = {"torch", "avalanche", "numpy", "mmengine"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_every_plugin_and_strategy_of_ours_is_there() -> None:
    PLUGINS.import_from_location()
    STRATEGIES.import_from_location()
    ours = {
        name: component
        for registry in (PLUGINS, STRATEGIES)
        for name, component in registry.module_dict.items()
        if component.__module__.startswith("cliqa.")
    }
    assert set(ours) <= set(cliqa.training.__all__)
    for name in cliqa.training.__all__:
        assert inspect.isclass(getattr(cliqa.training, name))
        assert getattr(cliqa.training, name) is ours.get(name, getattr(cliqa.training, name))
    assert set(cliqa.training.__all__) <= set(dir(cliqa.training))


def test_names_are_loaded_on_their_first_use() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)
    assert cliqa.training.EWC.__module__ == "cliqa.training.plugins.regularization.ewc"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'EWX'. It has \[.*'EWC'"):
        _ = cliqa.training.EWX  # type: ignore[attr-defined]
