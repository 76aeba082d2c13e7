"""Avalanche's loggers by their names; ours of the same name win."""

from __future__ import annotations

import avalanche.logging as avalanche_logging
import pytest

from cliqa.engine.loggers.files import CSVLogger, TextLogger
from cliqa.registry import LOGGERS


@pytest.mark.parametrize(
    "name", ["InteractiveLogger", "TextLogger", "CSVLogger", "TensorboardLogger", "WandBLogger"]
)
def test_avalanches_are_reachable(name: str) -> None:
    assert LOGGERS.get(f"avalanche.{name}") is getattr(avalanche_logging, name)
    assert name in LOGGERS.names()


def test_ours_win() -> None:
    assert LOGGERS.get("TextLogger") is TextLogger
    assert LOGGERS.get("CSVLogger") is CSVLogger
    assert LOGGERS.get("InteractiveLogger") is avalanche_logging.InteractiveLogger


def test_bases_are_no_loggers() -> None:
    assert "BaseLogger" not in LOGGERS.names()
