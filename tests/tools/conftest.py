"""Fixtures that tests of several tools share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import load_config
from cliqa.engine.train import train
from cliqa.studies.backends.commands import Command
from tests.forks import Fork


@pytest.fixture(scope="session")
def text_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work_dir of a tiny model of images and texts: only read it."""
    config: dict[str, Any] = load_config(tiny_run / "config.py")
    config["model"] = {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        "texts": "quality_levels",
        "in_channels": 8,
    }
    folder = tmp_path_factory.mktemp("runs") / "texts"
    train(config, config_file="config/tiny.py", work_dir=folder, device="cpu")
    return folder


def start(command: Command, variables: Mapping[str, str]) -> Fork:
    """Start a study's command in a copy of this process, with its output in its log."""
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("wb") as log:
        return Fork(command.arguments[1:], log.fileno(), log.fileno(), variables=variables)


@pytest.fixture
def forked_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a study start its runs in copies of this process: five seconds less each."""
    if hasattr(os, "fork"):
        monkeypatch.setattr("cliqa.studies.backends.local._start", start)
