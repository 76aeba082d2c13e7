"""Every logger writes what the metrics emit, into the work_dir."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avalanche.training.plugins import EvaluationPlugin
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.loggers.build import build_loggers
from cliqa.engine.loggers.csv_file import CSVLogger
from cliqa.engine.loggers.progress import ProgressBar
from cliqa.engine.loggers.text import TextLogger
from cliqa.engine.loggers.wandb_run import WandBLogger
from cliqa.evaluation.metrics.quality import quality_metrics
from cliqa.utils.errors import ConfigError

Trained = Callable[[list[Any]], dict[str, Any]]
NAME = "SRCC_Exp/eval_phase/test_stream/a"


@pytest.fixture
def trained(make_strategy: Callable[..., Any], tiny_stream: QualityStream) -> Trained:
    """Return a function that trains and evaluates with loggers and returns the last metrics."""

    def run(loggers: list[Any]) -> dict[str, Any]:
        strategy = make_strategy(epochs=1)
        evaluator = EvaluationPlugin(*quality_metrics(), loggers=loggers)
        strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
        strategy.evaluator = evaluator
        strategy.train_step(0, [tiny_stream.train_stream[0]])
        values: dict[str, Any] = strategy.eval(tiny_stream.test_stream)
        for logger in loggers:
            if hasattr(logger, "close"):
                logger.close()
        return values

    return run


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


def test_text_lies_in_the_work_dir(trained: Trained, tmp_path: Path) -> None:
    values = trained([TextLogger(work_dir=tmp_path), TextLogger("other.log", tmp_path)])
    for name in ("metrics.log", "other.log"):
        assert f"{NAME} = {values[NAME]:.4f}" in (tmp_path / name).read_text()


def test_tensorboard_has_the_values(trained: Trained, tmp_path: Path) -> None:
    loggers = build_loggers({"loggers": [{"type": "TensorboardLogger"}]}, tmp_path)
    values = trained(loggers)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Scalars(NAME)[0].value == pytest.approx(values[NAME], rel=1e-6)


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


def test_upstream_loggers_and_ours_are_built_in_order(tmp_path: Path) -> None:
    sections = [{"type": "InteractiveLogger"}, {"type": "ProgressBar"}, {"type": "TextLogger"}]
    built = build_loggers({"loggers": sections}, tmp_path)
    assert [type(logger).__name__ for logger in built] == [s["type"] for s in sections]
    assert isinstance(built[2], TextLogger)


def test_progress_bar_is_silent_where_there_is_no_terminal(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    trained([ProgressBar()])
    assert capsys.readouterr().err == ""


def test_progress_bar_shows_the_loss_on_a_terminal(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("cliqa.engine.loggers.progress.REFRESH", 0.0)
    trained([ProgressBar()])
    shown = capsys.readouterr().err
    assert "train a epoch 1/1" in shown
    assert "evaluate c" in shown


def test_a_text_logger_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="open file"):
        TextLogger(work_dir=tmp_path).__getstate__()


def test_a_wrong_logger_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loggers\[1\] 'TextLogger': unexpected argument 'fil'"):
        build_loggers(
            {"loggers": [{"type": "CSVLogger"}, {"type": "TextLogger", "fil": 1}]}, tmp_path
        )
