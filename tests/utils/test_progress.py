"""Bars on terminals of 80 columns, lines elsewhere, and no silence."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliqa.utils import progress
from cliqa.utils.logging import close_logging, get_logger, setup_logging
from cliqa.utils.progress import Phase, duration, progress_lines, track

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let lines come soon, and take handlers away again."""
    monkeypatch.setattr(progress, "FIRST", 0.05)
    while writers():
        time.sleep(0.01)
    yield
    close_logging()
    assert not progress._lines.phases


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == progress.NAME]


def test_items_are_counted() -> None:
    seen = []
    for item in track("abc", "letters", unit="letter"):
        (phase,) = progress._lines.phases
        seen.append((item, phase.line()))
    assert [item for item, _ in seen] == ["a", "b", "c"]
    assert seen[0][1] == "letters: 0 of 3 letters"
    assert re.fullmatch(r"letters: 2 of 3 letters, 1 s left", seen[2][1])


def test_an_unknown_number_is_no_share() -> None:
    phase = Phase("read", unit="image").begin()
    assert phase.line() == "read: for 1 s now"
    phase.update(1234)
    phase.note = "slow"
    assert phase.line() == "read: 1,234 images, slow"
    phase.close()


def test_an_error_closes_what_is_open_in_a_phase() -> None:
    def work() -> None:
        with Phase("outer", 2):
            Phase("inner", 3).begin()
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not progress._lines.phases


def test_silence_is_broken_by_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(tmp_path / "train.log")
    with progress_lines("training", 0.1, lambda: "2 h left in all"):
        with Phase("epoch 1/2", 10) as phase:
            phase.update(3)
            phase.note = "loss 0.5"
            time.sleep(0.35)
        time.sleep(0.25)  # a phase that counts nothing
    told = capsys.readouterr().err.splitlines()
    counted = [line for line in told if line.startswith("epoch 1/2: 3 of 10 batches, loss 0.5, ")]
    assert 2 <= len(counted) <= 4
    assert all(line.endswith(" left; 2 h left in all") for line in counted)
    assert told[-1] == "training: for 1 s now; 2 h left in all"
    assert len((tmp_path / "train.log").read_text().splitlines()) == len(told)


def test_a_message_counts_as_a_sign_of_life(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging()
    with progress_lines("training", 0.3):
        time.sleep(0.1)  # the first line
        for number in range(8):
            get_logger(__name__).info("epoch %d", number)
            time.sleep(0.05)
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if line.startswith("training")] == told[:1]


@pytest.mark.parametrize("every", [0, 0.05])
def test_no_thread_stays(every: float) -> None:
    setup_logging()
    with progress_lines("training", every):
        assert len(writers()) == bool(every)
    time.sleep(0.05)
    assert not writers()


def test_without_a_reader_there_is_no_thread() -> None:
    assert not logging.getLogger(progress.NAME).isEnabledFor(logging.INFO)
    with Phase("work", 3):
        assert not writers()


def test_a_fork_during_a_phase_leaves_the_child_free() -> None:
    setup_logging()
    with Phase("work", 3):
        child = os.fork()
        if not child:
            free = not progress._lines.phases and progress._lines.lock.acquire(timeout=1)
            os._exit(0 if free else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


SCRIPT = """
import time
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.progress import Phase, progress_lines
setup_logging()
with progress_lines("training", 0.1):
    with Phase("train a_data_set_of_a_very_long_name epoch 1/2" * 3, 40) as phase:
        for k in range(40):
            phase.note = "loss 0.1234"
            phase.update()
            time.sleep(0.01)
            if k == 20:
                get_logger("x").info("a message")
            with Phase("inner", 3) as inner:
                inner.update()
"""


def on_terminal(command: list[str], columns: int = 80) -> str:
    """Return what a command writes to a pseudo-terminal of so many columns."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=theirs, check=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=env) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                told += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0, told
    return told.decode()


@pytest.mark.parametrize("columns", [0, 60, 80, 200])
def test_a_bar_fits_the_terminal(columns: int) -> None:
    told = on_terminal([sys.executable, "-c", SCRIPT], columns)
    shown = re.split(r"[\r\n]+", re.sub(r"\x1b\[\w", "", told))
    assert max(map(len, shown)) <= min(columns or 80, 80)
    assert any("loss 0.1234" in line for line in shown)
    assert "a message" in shown  # on a line of its own, above the bar
    assert "inner" not in told
    assert "training" not in told  # the bar says it all
    assert shown[-1].strip() == ""


def test_there_is_no_bar_in_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == b""
    assert b"\r" not in done.stderr
    assert b"a message\n" in done.stderr
    assert b" of 40 batches, loss 0.1234" in done.stderr


def test_times_are_rounded_for_people() -> None:
    assert duration(0) == "1 s"
    assert duration(7200) == "2 h"
