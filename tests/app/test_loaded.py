"""Tests of cliqa.app.loaded."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cliqa.app.loaded import Kept, Loaded, loaded
from cliqa.app.settings import Settings, forget_searches
from cliqa.utils.errors import ConfigError


def test_the_last_few_are_kept() -> None:
    kept: Kept[str] = Kept(2)
    made: list[str] = []

    def use(key: str) -> str:
        with kept.use(key, lambda: made.append(key) or f"the {key}") as found:  # type: ignore[func-returns-value]
            return found

    assert [use(key) for key in ("a", "b", "a", "c", "a", "b")][-1] == "the b"
    assert made == ["a", "b", "c", "b"]


def test_what_cannot_be_made_is_tried_again() -> None:
    kept: Kept[int] = Kept(1)

    def fail() -> int:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"), kept.use("a", fail):
        pass
    with kept.use("a", lambda: 3) as found:
        assert found == 3


def test_one_thread_at_a_time_uses_a_thing_that_is_made_once() -> None:
    kept: Kept[list[str]] = Kept(1)
    made: list[int] = []

    def make() -> list[str]:
        made.append(1)
        return []

    def work() -> None:
        with kept.use("a", make) as notes:
            notes.append("in")
            time.sleep(0.01)
            notes.append("out")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with kept.use("a", make) as notes:
        assert notes == ["in", "out"] * 4
    assert len(made) == 1


def test_models_and_images_are_those_of_listed_runs(tiny_run: Path, tiny_data: Path) -> None:
    forget_searches()
    found = Loaded(Settings(tiny_run.parent, device="cpu"))
    with found.model("tiny") as model, found.model("tiny", "exp_0") as first:
        assert model.names == ["a", "b", "c"]
        assert first.names == ["a", "b", "c"]
        assert model.path != first.path
    with found.model("tiny") as again:
        assert again is model
    with found.images("tiny") as images:
        assert images.checkpoint.is_file()
    with pytest.raises(ConfigError, match="no such model"), found.model("../tiny"):
        pass
    with pytest.raises(ConfigError, match="no such run"), found.images("x"):
        pass


def test_a_server_shares_what_it_has_loaded(tmp_path: Path) -> None:
    assert loaded(Settings(tmp_path)) is loaded(Settings(tmp_path))
    assert loaded(Settings(tmp_path)) is not loaded(Settings(tmp_path, trust=True))
