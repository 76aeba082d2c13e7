"""Tests of cliqa.utils.paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.utils.paths import home_path


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert home_path("~/data") == Path("/home/ann/data")
    assert home_path(Path("~")) == Path("/home/ann")


@pytest.mark.parametrize("name", ["~no_such_user/x", "~x", "a/~/b", "2024", ""])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert home_path(name) == Path(name)
