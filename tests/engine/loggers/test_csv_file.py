"""Every number of every metric is a row."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.loggers.csv_file import CSVLogger

Trained = Callable[[list[Any]], dict[str, Any]]


def test_csv_has_every_value(trained: Trained, tmp_path: Path) -> None:
    values = trained([CSVLogger(work_dir=tmp_path)])
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {row["metric"]: float(row["value"]) for row in rows}
    assert found == pytest.approx(values)
    assert {row["iteration"] for row in rows} == {"4"}


def test_csv_is_appended_to_with_one_header(trained: Trained, tmp_path: Path) -> None:
    for _ in range(2):
        trained([CSVLogger("log.csv", tmp_path)])
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines.count("iteration,metric,value") == 1
    assert len(lines) == 1 + 2 * 8


def test_only_numbers_are_rows_and_they_are_there_at_once(tmp_path: Path) -> None:
    logger = CSVLogger("logs/a.csv", tmp_path)
    logger.log_single_metric("loss", 0.5, 3)
    logger.log_single_metric("count", 2, 4)
    logger.log_single_metric("image", torch.zeros(3, 4, 4), 5)
    logger.log_single_metric("bytes", b"x", 6)
    lines = (tmp_path / "logs" / "a.csv").read_text().splitlines()  # a killed run closes nothing
    assert lines == ["iteration,metric,value", "3,loss,0.5", "4,count,2"]
    logger.close()
