"""The parent: what it refuses before anything starts, and the workers that it keeps.

Its workers are stand-ins here, which need no model; `test_worker` has real ones.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cliqa.serve import supervisor
from cliqa.serve.options import ServiceOptions
from cliqa.serve.supervisor import Supervisor, check_libraries
from cliqa.utils.errors import ConfigError, MachineError

READY = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
open(os.path.join({folder!r}, str(os.getpid())), "w").close()
os.write(int(sys.argv[2]), b"1")
while True:
    signal.pause()
"""


class _Standin(supervisor._Worker):
    """A worker that runs another script."""

    script = READY

    def __init__(self, command: Any, listener: Any, environment: Any) -> None:
        super().__init__([sys.executable, "-c", self.script], listener, environment)


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[_Standin]:
    """Return the class of the workers; each leaves a file of its number in `tmp_path`."""

    class Own(_Standin):
        script = READY.format(folder=str(tmp_path))

    monkeypatch.setattr(supervisor, "_Worker", Own)
    monkeypatch.setattr(supervisor, "TICK", 0.02)
    return Own


def when(condition: Any, act: Any) -> threading.Thread:
    """Do something, in a thread, once a condition holds."""

    def wait() -> None:
        end = time.monotonic() + 20
        while not condition() and time.monotonic() < end:
            time.sleep(0.01)
        if condition():  # a signal after a test that has failed would end all tests
            act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def ask(processes: int = 2, **options: Any) -> Supervisor:
    return Supervisor(ServiceOptions(__file__, port=0, processes=processes, **options))


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(ConfigError, match=r"not installed: uvicorn. Install with: pip install"):
        check_libraries()


def test_workers_are_started_and_stopped(
    standin: type[_Standin], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = ask(3)
    caplog.set_level("INFO", logger="cliqa")
    when(lambda: own._told, lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert own.run() == 0
    assert signal.getsignal(signal.SIGTERM) == before
    assert len(list(tmp_path.iterdir())) == 3
    assert "test_supervisor.py (3 processes); Ctrl-C ends it" in caplog.text
    assert not Path(own._environment[supervisor.NUMBERS]).exists()
    assert all(listener.fileno() == -1 for listener in own._listeners)


def test_a_worker_that_dies_has_another_in_its_place(
    standin: type[_Standin], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = ask(1)
    numbers: list[Any] = []

    def kill() -> None:
        numbers.append(own._workers[0].process.pid)
        folder = Path(own._environment[supervisor.NUMBERS])
        for name in ("gauge_livesum", "counter"):
            (folder / f"{name}_{numbers[0]}.db").touch()
        os.kill(numbers[0], signal.SIGKILL)
        when(lambda: len(list(tmp_path.iterdir())) == 2 and own._workers[0].is_ready, stop)

    def stop() -> None:
        left = Path(own._environment[supervisor.NUMBERS])
        numbers.extend(sorted(path.name.partition("_")[0] for path in left.iterdir()))
        os.kill(os.getpid(), signal.SIGINT)

    when(lambda: own._told, kill)
    assert own.run() == 0
    assert f"process {numbers[0]} ended by signal 9; another one takes its place" in caplog.text
    assert numbers[1:] == ["counter"]  # what it has counted stays; its queue is no more


def test_one_that_says_why_it_cannot_start_ends_the_service(standin: type[_Standin]) -> None:
    standin.script = "import sys; sys.exit(2)"
    assert ask().run() == 2


def test_one_that_is_killed_at_its_start_ends_the_service(standin: type[_Standin]) -> None:
    standin.script = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(MachineError, match="ended by signal 9 at its start"):
        ask().run()


def test_a_service_whose_workers_cannot_come_back_ends(
    standin: type[_Standin], tmp_path: Path
) -> None:
    own = ask(1)

    def break_it() -> None:
        standin.script = "import sys; sys.exit(3)"
        own._workers[0].process.kill()

    when(lambda: own._told, break_it)
    with pytest.raises(MachineError, match="ended with status 3 at its start"):
        own.run()


def test_one_that_does_not_stop_is_killed(
    standin: type[_Standin], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    standin.script = standin.script.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    monkeypatch.setattr(supervisor, "GRACE", 0.0)
    own = ask(1, timeout=0.1)
    when(lambda: own._told, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert own.run() == 1
    assert "did not stop in time" in caplog.text


def test_a_second_signal_ends_at_once(standin: type[_Standin]) -> None:
    standin.script = standin.script.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")
    own = ask(1)

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    when(lambda: own._told, twice)
    assert own.run() == 128 + signal.SIGINT


def test_a_terminal_that_closes_ends_it_as_well(standin: type[_Standin], tmp_path: Path) -> None:
    own = ask(1)
    when(lambda: own._told, lambda: os.kill(os.getpid(), signal.SIGHUP))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
    try:
        assert own.run() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not Path(own._environment[supervisor.NUMBERS]).exists()


def test_on_a_full_disk_a_process_counts_for_itself(
    standin: type[_Standin],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given: list[Any] = []

    class Seen(standin):  # type: ignore[misc, valid-type]
        def __init__(self, command: Any, listener: Any, environment: Any) -> None:
            given.append(environment)
            super().__init__(command, listener, environment)

    monkeypatch.setattr(supervisor, "_Worker", Seen)
    monkeypatch.setattr(supervisor, "ROOM", 2**62)
    own = ask(1)
    when(lambda: own._told, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert own.run() == 0
    assert supervisor.NUMBERS not in given[0]
    assert "the disk is full. A process starts without the numbers of the others" in caplog.text
