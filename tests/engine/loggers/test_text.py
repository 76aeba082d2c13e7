"""Avalanche's text in a file of the work_dir."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.loggers.text import TextLogger

Trained = Callable[[list[Any]], dict[str, Any]]
NAME = "SRCC_Exp/eval_phase/test_stream/a"


def test_text_lies_in_the_work_dir(trained: Trained, tmp_path: Path) -> None:
    values = trained([TextLogger(work_dir=tmp_path), TextLogger("other.log", tmp_path)])
    for name in ("metrics.log", "other.log"):
        assert f"{NAME} = {values[NAME]:.4f}" in (tmp_path / name).read_text()


def test_a_text_logger_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="open file"):
        TextLogger(work_dir=tmp_path).__getstate__()


def test_a_resumed_run_appends(tmp_path: Path) -> None:
    for line in ("first", "second"):
        logger = TextLogger("logs/m.log", tmp_path)
        print(line, file=logger.file)  # noqa: T201  as Avalanche writes
        assert (tmp_path / "logs" / "m.log").read_text().endswith(f"{line}\n")  # before the end
        logger.close()
    assert (tmp_path / "logs" / "m.log").read_text() == "first\nsecond\n"
