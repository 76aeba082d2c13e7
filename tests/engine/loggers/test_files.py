"""Loggers that write files: every number is in the csv, the text and TensorBoard's events."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliqa.engine.loggers.build import build_loggers
from cliqa.engine.loggers.files import CSVLogger, TensorboardLogger, TextLogger

Trained = Callable[[list[Any]], dict[str, Any]]
NAME = "SRCC_Exp/eval_phase/test_stream/a"


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
