"""Commands side by side: how many at a time, their logs, and their end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.commands import Command
from cliqa.studies.backends.local import Local, cores
from tests.processes import variables

POLITE = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).write_text("started")
time.sleep(60)
"""

DEAF = POLITE.replace("SIGTERM, stop", "SIGTERM, signal.SIG_IGN")


def python(text: str, log: Path, *arguments: object) -> Command:
    """Return a command that runs some Python."""
    return Command((sys.executable, "-c", text, *map(str, arguments)), log)


def send_when(started: list[Path], *signums: int) -> threading.Thread:
    """Send signals to this process, the first one as soon as all files are there."""

    def wait() -> None:
        while not all(path.is_file() and path.read_text() for path in started):
            time.sleep(0.02)
        for signum in signums:
            os.kill(os.getpid(), signum)
            time.sleep(0.5)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_every_command_runs_once_and_so_many_at_a_time(tmp_path: Path) -> None:
    text = "import time; print(time.time(), flush=True); time.sleep(0.6); print(time.time())"
    commands = [python(text, tmp_path / "logs" / f"{k}.log") for k in range(5)]
    ended: list[tuple[int, int]] = []
    Local(2).run(commands, lambda place, status: ended.append((place, status)))
    assert sorted(ended) == [(k, 0) for k in range(5)]
    spans = [tuple(map(float, c.log.read_text().split())) for c in commands]
    together = [sum(a <= start < b for a, b in spans) for start, _ in spans]
    assert max(together) == 2
    assert [start for start, _ in spans[::2]] == sorted(start for start, _ in spans[::2])


def test_statuses_and_output_of_both_streams_are_kept(tmp_path: Path) -> None:
    text = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    log = tmp_path / "log"
    log.write_text("of an earlier try")
    ended: list[tuple[int, int]] = []
    Local(4).run([python(text, log)], lambda *end: ended.append(end))
    assert ended == [(0, 3)]
    assert log.read_text() == "out\nerr\n"


@pytest.mark.parametrize("jobs", [1, 2, 1000])
def test_processors_are_shared(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    text = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['OWN'])"
    Local(jobs, {"OWN": "yes"}).run([python(text, tmp_path / "log")], lambda *_: None)
    assert (tmp_path / "log").read_text().split() == [str(max(1, cores() // jobs)), "yes"]


def test_the_users_own_number_of_threads_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    text = "import os; print(os.environ['OMP_NUM_THREADS'])"
    Local().run([python(text, tmp_path / "log")], lambda *_: None)
    assert (tmp_path / "log").read_text() == "7\n"


def test_a_run_is_no_process_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(1, 2, 1).items():  # left over: the run would wait for others
        monkeypatch.setenv(name, value)
    text = "from cliqa.utils.processes.group import started; print(started())"
    Local().run([python(text, tmp_path / "log")], lambda *_: None)
    assert (tmp_path / "log").read_text() == "1\n"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_politely(signum: signal.Signals, tmp_path: Path) -> None:
    files = [tmp_path / str(k) for k in range(2)]
    commands = [python(POLITE, tmp_path / f"{k}.log", file) for k, file in enumerate(files)]
    before = signal.getsignal(signum)
    thread = send_when(files, signum)
    with pytest.raises(
        Interrupted, match=f"stopped by {signum.name}; the same command continues"
    ) as why:
        Local(2).run([*commands, *commands], lambda *_: None)
    thread.join()
    assert why.value.signum == signum
    assert [file.read_text() for file in files] == ["saved", "saved"]
    assert signal.getsignal(signum) is before


def test_a_second_signal_kills_who_does_not_listen(tmp_path: Path) -> None:
    thread = send_when([tmp_path / "file"], signal.SIGINT, signal.SIGINT)
    start = time.monotonic()
    with pytest.raises(Interrupted):
        Local().run([python(DEAF, tmp_path / "log", tmp_path / "file")], lambda *_: None)
    thread.join()
    assert time.monotonic() - start < 20


def test_who_does_not_end_in_time_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cliqa.studies.backends.local.GRACE", 0.3)
    thread = send_when([tmp_path / "file"], signal.SIGTERM)
    with pytest.raises(Interrupted):
        Local().run([python(DEAF, tmp_path / "log", tmp_path / "file")], lambda *_: None)
    thread.join()


def test_a_mistake_in_the_callers_code_leaves_no_process(tmp_path: Path) -> None:
    file = tmp_path / "file"
    commands = [python(POLITE, tmp_path / "0.log", file), python("", tmp_path / "1.log")]

    def fail(*_: int) -> None:
        while not file.is_file():
            time.sleep(0.02)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        Local(2).run(commands, fail)
    assert file.read_text() == "saved"


def test_works_outside_the_main_thread(tmp_path: Path) -> None:
    ended: list[int] = []
    command = python("", tmp_path / "log")
    arguments = ([command], lambda _, status: ended.append(status))
    thread = threading.Thread(target=Local().run, args=arguments)
    thread.start()
    thread.join()
    assert ended == [0]
