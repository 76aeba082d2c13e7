"""Loggers come and go with the work_dir."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.build import Parts, build


@pytest.fixture
def parts(tiny_config: dict[str, Any]) -> Parts:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["loggers"] = [{"type": "CSVLogger"}, {"type": "ProgressBar"}]
    return build(tiny_config, torch.device("cpu"))


def test_loggers_write_into_the_work_dir_and_are_closed(parts: Parts, tmp_path: Path) -> None:
    parts.attach_loggers(tmp_path)
    parts.strategy.eval(parts.benchmark.test_stream)
    parts.close_loggers()
    assert "SRCC_Exp/eval_phase/test_stream/a" in (tmp_path / "metrics.csv").read_text()
    with pytest.raises(ValueError, match="closed file"):
        parts.strategy.evaluator.loggers[0].log_single_metric("x", 1.0, 0)


def test_loggers_without_an_end_are_left_alone(parts: Parts) -> None:
    parts.strategy.evaluator.loggers = [object()]
    parts.close_loggers()
