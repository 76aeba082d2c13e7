"""Events for ``tensorboard --logdir``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliqa.engine.loggers.build import build_loggers
from cliqa.engine.loggers.tensorboard import TensorboardLogger

Trained = Callable[[list[Any]], dict[str, Any]]
NAME = "SRCC_Exp/eval_phase/test_stream/a"


def test_tensorboard_has_the_values(trained: Trained, tmp_path: Path) -> None:
    loggers = build_loggers({"loggers": [{"type": "TensorboardLogger"}]}, tmp_path)
    values = trained(loggers)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Scalars(NAME)[0].value == pytest.approx(values[NAME], rel=1e-6)


def test_another_folder_and_suffix(tmp_path: Path) -> None:
    logger = TensorboardLogger(str(tmp_path / "events"), ".x", work_dir=tmp_path / "unused")
    logger.log_single_metric("loss", 0.5, 1)
    logger.close()
    assert [path.suffix for path in (tmp_path / "events").iterdir()] == [".x"]
    assert not (tmp_path / "unused").exists()
