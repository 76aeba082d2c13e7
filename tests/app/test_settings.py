"""Tests of cliqa.app.settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cliqa.app.settings import DEPTH, Settings, forget_searches
from cliqa.utils.errors import ConfigError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings over some runs, an exported file, a study, configs and images."""
    forget_searches()
    root = tmp_path / "work_dirs"
    for age, name in enumerate(("new", "group/old", "group/old/trials/inner")):
        (root / name / "checkpoints").mkdir(parents=True)
        (root / name / "results.json").write_text("{}")
        os.utime(root / name / "results.json", (1e9, 1e9 - age))
    (root / "new" / "checkpoints" / "last.pth").write_text("")
    (root / "new" / "model.onnx").write_text("")
    (root / "study").mkdir()
    (root / "study" / "study.json").write_text("{}")
    (root / "study" / "label_study.json").write_text("{}")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "results.json").write_text("{}")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "half").mkdir()
    (root / "half" / "results.json").symlink_to(tmp_path / "outside" / "results.json")
    for name in (
        "config/b.py",
        "config/a.py",
        "config/_x.py",
        "config/_base_/c.py",
        "pics/d/e.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return Settings(root, configs=tmp_path / "config", images=tmp_path / "pics")


def test_names_are_listed_the_newest_first(settings: Settings) -> None:
    assert settings.runs() == ["new", "group/old", "group/old/trials/inner"]
    assert settings.studies() == ["study"]
    assert settings.models() == ["new", "new/model.onnx"]
    assert settings.config_names() == ["a.py", "b.py"]
    assert settings.folders() == ["d"]


def test_what_a_search_has_made_of_a_run_comes_after_all_runs(settings: Settings) -> None:
    pruned = settings.work_dirs / "group/old/deploy/pruned-30"
    pruned.mkdir(parents=True)
    (pruned / "results.json").write_text("{}")  # the newest of all
    assert settings.runs()[0] == "new"
    assert settings.runs()[-1] == "group/old/deploy/pruned-30"


def test_names_lead_to_their_files(settings: Settings) -> None:
    assert settings.path_of("group/old") == (settings.work_dirs / "group/old").resolve()
    assert settings.path_of("study").name == "study"
    assert settings.model_of("new/model.onnx").is_file()
    assert settings.config_of("a.py").name == "a.py"
    assert settings.folder_of("d").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        *("..", "../outside", "/etc", "link", "half", "new/../../outside", "new/", "", "."),
        *("new/checkpoints", None, 3, ["new"], {"new": 1}, b"new", "new\0"),
    ],
)
def test_what_is_not_listed_is_refused(settings: Settings, name: Any) -> None:
    for look_up in (settings.path_of, settings.model_of, settings.config_of, settings.folder_of):
        if name != "new/../../outside" or look_up is settings.path_of:
            with pytest.raises(ConfigError, match=r"no such .* here\. Choose one from the list"):
                look_up(name)


def test_a_listed_folder_that_becomes_a_link_is_refused(settings: Settings, tmp_path: Path) -> None:
    assert "new" in settings.runs()
    (settings.work_dirs / "new").rename(settings.work_dirs / "moved")
    (settings.work_dirs / "new").symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match="new: lies outside the folder"):
        settings.path_of("new")


def test_a_search_ends_at_a_depth_and_is_taken_as_true_for_a_while(settings: Settings) -> None:
    deep = settings.work_dirs / Path(*["x"] * DEPTH)
    for folder in (deep, deep / "y"):
        folder.mkdir(parents=True)
        (folder / "results.json").write_text("{}")
    before = settings.runs()
    forget_searches()
    assert "/".join("x" * DEPTH) in settings.runs()
    assert "/".join("x" * DEPTH) + "/y" not in settings.runs()
    (settings.work_dirs / "later").mkdir()
    (settings.work_dirs / "later" / "results.json").write_text("{}")
    assert "later" not in settings.runs()
    forget_searches()
    assert "later" in settings.runs()
    assert set(before) < set(settings.runs())


def test_nothing_is_listed_where_there_is_nothing(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "none")
    assert settings.runs() == settings.models() == settings.folders() == []
    assert settings.config_names() == []
    with pytest.raises(ConfigError, match="no such folder of images"):
        settings.folder_of("x")


def test_a_long_search_is_taken_as_true_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("cliqa.app.settings.time.monotonic", lambda: now[0])
    walked = []

    def slow(_: Path) -> list[tuple[str, list[str]]]:
        walked.append(now[0])
        now[0] += 1.5
        return []

    monkeypatch.setattr("cliqa.app.settings._folders", slow)
    settings = Settings(tmp_path)
    for moment in (10.0, 20.0, 40.0, 50.0):
        now[0] = moment
        settings.runs()
    assert walked == [10.0, 50.0]
