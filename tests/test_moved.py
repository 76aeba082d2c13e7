"""Modules at their earlier import paths."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec

import pytest

import cliqa.config
from cliqa import moved
from cliqa.config.load import load_config


@pytest.mark.parametrize(("old", "new"), moved.MOVED.items())
def test_an_old_path_leads_to_a_module_that_exists(old: str, new: str) -> None:
    assert all(find_spec(path) is not None for path in new.split())
    spec = find_spec(old)
    assert spec is not None
    assert isinstance(spec.loader, moved.OldPaths)


def test_an_old_path_has_the_names_of_the_new_one_and_warns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "cliqa.datasets.koniq", raising=False)
    with pytest.warns(DeprecationWarning, match="koniq is now cliqa.datasets.quality.koniq"):
        old = importlib.import_module("cliqa.datasets.koniq")
    new = importlib.import_module("cliqa.datasets.quality.koniq")
    assert old.KonIQ10k is new.KonIQ10k


def test_a_module_that_was_divided_has_the_names_of_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "cliqa.engine.inference", raising=False)
    with pytest.warns(DeprecationWarning, match=r"now cliqa\.inference\.predict and cliqa\.inf"):
        old = importlib.import_module("cliqa.engine.inference")
    assert all(hasattr(old, name) for name in ("Predictor", "Score", "find_images"))


def test_other_names_are_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'cliqa\.datasets\.tid2014'"):
        importlib.import_module("cliqa.datasets.tid2014")


def test_it_is_installed_once() -> None:
    moved.install()
    assert sum(isinstance(finder, moved.OldPaths) for finder in sys.meta_path) == 1


def test_the_config_room_has_its_two_functions() -> None:
    assert cliqa.config.load_config is load_config
    with pytest.raises(AttributeError, match="It has"):
        _ = cliqa.config.load_conifg
