"""The folder of files that can be made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.utils.cache_folder import cache_folder


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"CLIQA_CACHE": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"CLIQA_CACHE": "", "XDG_CACHE_HOME": "/c"}, "/c/cliqa"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/cliqa"),
        ({}, "/home/me/.cache/cliqa"),
        ({"CLIQA_CACHE": "~/mine"}, "/home/me/mine"),
    ],
)
def test_the_first_of_the_variables_counts(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("CLIQA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_a_relative_folder_is_that_of_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIQA_CACHE", "mine")
    monkeypatch.chdir(tmp_path)
    assert cache_folder() == tmp_path / "mine"
