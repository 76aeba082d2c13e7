"""Tests of cliqa.utils.paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.utils.paths import home_path, name_after


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert home_path("~/data") == Path("/home/ann/data")
    assert home_path(Path("~")) == Path("/home/ann")


@pytest.mark.parametrize("name", ["~no_such_user/x", "~x", "a/~/b", "2024", ""])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert home_path(name) == Path(name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/koniq_train.json", "koniq_train"),
        ("2024.csv", "2024"),
        ("scores (1).csv", "scores__1_"),
        ("it's, [z].csv", "it_s___z_"),
        ("_hidden.csv", "labels_hidden"),
        ("\u00e9.csv", "labels_\u00e9"),
    ],
)
def test_a_name_after_a_file_is_one_that_files_can_have(path: str, name: str) -> None:
    assert name_after(path) == name
