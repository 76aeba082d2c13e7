"""One way into the engine for the command line and for Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.api.launch import launch
from cliqa.engine import train as engine_train
from cliqa.engine.pretrain import run as engine_pretrain
from cliqa.utils.errors import ConfigError


def test_a_config_goes_to_the_work_that_it_asks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    for module, name in ((engine_train, "train"), (engine_pretrain, "pretrain")):
        monkeypatch.setattr(
            module, name, lambda config, name=name, **given: calls.append((name, given))
        )
    launch({"scenario": {}}, "x.py", tmp_path, device="cpu", seed=3)
    launch({"pretrain": {}}, "x.py", tmp_path)
    assert [name for name, _ in calls] == ["train", "pretrain"]
    given = calls[0][1]
    assert given == {"config_file": "x.py", "work_dir": tmp_path, "device": "cpu", "seed": 3}


def test_impossible_options_come_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only one of them"):
        launch({}, "x.py", tmp_path, resume="auto", extend=True)
