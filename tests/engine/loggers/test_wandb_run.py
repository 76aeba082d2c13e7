"""Weights & Biases, offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cliqa.engine.loggers import wandb_run
from cliqa.engine.loggers.build import build_loggers
from cliqa.engine.loggers.wandb_run import WandBLogger
from cliqa.utils.errors import ConfigError

Trained = Callable[[list[Any]], dict[str, Any]]


@pytest.mark.slow
def test_wandb_runs_offline(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    loggers = build_loggers({"loggers": [{"type": "WandBLogger", "project_name": "t"}]}, tmp_path)
    trained(loggers)
    assert list(tmp_path.rglob("*.wandb"))


def test_wandb_refuses_an_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mode must be 'online', 'offline' or 'disabled'"):
        WandBLogger(mode="of", work_dir=tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the arguments that Avalanche's logger is started with."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(
        wandb_run.AvalancheWandBLogger, "__init__", lambda _, **given: calls.append(given)
    )
    for variable in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    return calls


@pytest.mark.parametrize(
    ("mode", "variables", "expected"),
    [
        (None, {}, "offline"),
        (None, {"WANDB_API_KEY": "k"}, "online"),
        (None, {"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"}, "disabled"),
        ("offline", {"WANDB_API_KEY": "k", "WANDB_MODE": "online"}, "offline"),
    ],
)
def test_online_is_for_those_with_a_key(
    started: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    mode: str | None,
    variables: dict[str, str],
    expected: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    WandBLogger(mode=mode, work_dir="runs/x", params={"tags": ["t"]})
    assert started[0]["params"] == {"mode": expected, "tags": ["t"]}
    assert started[0]["run_name"] == "x"
    assert started[0]["dir"] == "runs/x"


def test_names_that_the_library_has_dropped_are_put_back(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SimpleNamespace(util=SimpleNamespace(), plot=SimpleNamespace(CustomChart="chart"))
    monkeypatch.setattr(
        wandb_run.AvalancheWandBLogger,
        "import_wandb",
        lambda self: setattr(self, "wandb", library),
    )
    logger = WandBLogger(mode="offline")
    logger.import_wandb()
    assert len(library.util.generate_id(8)) == 8
    assert library.util.generate_id() != library.util.generate_id()
    assert library.viz.CustomChart == "chart"
