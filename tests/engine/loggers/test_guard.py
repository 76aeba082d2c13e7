"""A logger that cannot write does not stop a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avalanche.logging import BaseLogger

from cliqa.engine.loggers import guard
from cliqa.engine.loggers.build import build_loggers, close_loggers
from cliqa.engine.loggers.guard import guarded

Trained = Callable[[list[Any]], dict[str, Any]]


class Failing(BaseLogger):
    """Fails from its second value on."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.values: list[float] = []
        self.abandoned = 0

    def log_single_metric(self, name: str, value: Any, x_plot: int) -> None:
        """Take one value."""
        if self.values:
            raise self.error
        self.values.append(value)

    def before_training(self, *_: Any) -> str:
        """Return what a hook gives."""
        return "begun"


class Leaving(Failing):
    """Is left alone after its first failure, whatever that was."""

    failures = (Exception,)

    def abandon(self) -> None:
        """Count."""
        self.abandoned += 1


FULL = OSError(28, "No space left on device", "w/metrics.csv")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_full_disk_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    one = guarded(Failing(FULL))
    for k in range(3):
        one.log_single_metric("loss", float(k), k)
    assert messages(caplog) == [
        "Failing: cannot write (w/metrics.csv: the disk is full); the run continues without it"
    ]
    one.values.clear()
    one.log_single_metric("loss", 7.0, 7)  # there is room again
    assert one.values == [7.0]
    assert one.before_training() == "begun"


@pytest.mark.parametrize("error", [ValueError("a mistake of its own"), KeyError("x")])
def test_a_mistake_is_raised(error: Exception) -> None:
    one = guarded(Failing(error))
    one.log_single_metric("loss", 0.0, 0)
    with pytest.raises(type(error)):
        one.log_single_metric("loss", 1.0, 1)


def test_one_that_is_abandoned_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    one = guarded(Leaving(RuntimeError("the service\nhas died.")))
    for k in range(4):
        one.log_single_metric("loss", float(k), k)
    assert one.before_training() is None
    assert one.abandoned == 1
    assert messages(caplog) == [
        "Leaving: cannot write (RuntimeError: the service has died); the run continues without it"
    ]


def test_the_end_of_a_pipe_ends_the_run_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    one = guarded(Failing(BrokenPipeError(32, "Broken pipe")))
    one.log_single_metric("loss", 0.0, 0)
    monkeypatch.setattr(guard, "reader_has_gone", lambda: True)
    with pytest.raises(BrokenPipeError):
        one.log_single_metric("loss", 1.0, 1)
    monkeypatch.setattr(guard, "reader_has_gone", lambda: False)
    one.log_single_metric("loss", 1.0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("name", ["TextLogger", "CSVLogger"])
def test_a_run_continues_without_its_files(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    if name == "CSVLogger":  # it begins with a line of titles
        with pytest.raises(OSError, match="No space left.*log"):
            build_loggers({"loggers": [{"type": name, "file": "log"}]}, tmp_path)
        return
    loggers = build_loggers({"loggers": [{"type": name, "file": "log"}]}, tmp_path)
    values = trained(loggers)
    assert values["SRCC_Exp/eval_phase/test_stream/a"] is not None
    close_loggers(loggers)
    (told,) = [text for text in messages(caplog) if "cannot write" in text]
    assert told.startswith("TextLogger: cannot write (writing: the disk is full)")


def test_tensorboard_without_room(
    trained: Trained,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    loggers = build_loggers({"loggers": [{"type": "TensorboardLogger"}]}, tmp_path)
    file = loggers[0].writer.file_writer.event_writer._async_writer._writer._writer
    monkeypatch.setattr(file, "write", full)
    monkeypatch.setattr(file, "flush", full)
    trained(loggers)
    loggers[0].writer.flush()  # a busy machine's thread may not have written anything yet
    loggers[0].log_single_metric("loss", 1.0, 1)
    assert "Traceback" not in capfd.readouterr().err  # of the thread that writes
    (told,) = [text for text in messages(caplog) if "cannot write" in text]
    assert told.startswith("TensorboardLogger: cannot write (writing: the disk is full)")
