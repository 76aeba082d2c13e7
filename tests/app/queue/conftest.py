"""A queue whose runs are a short script in place of ``cliqa train``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cliqa.app.queue import jobs as module
from cliqa.app.queue.jobs import Jobs

PROGRAM = """
import json, pathlib, signal, sys, time
given = sys.argv[1:]
folder = pathlib.Path(given[given.index("--work-dir") + 1] if given[0] == "train" else given[2])
folder.mkdir(parents=True, exist_ok=True)
with (folder / "begun").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
def stop(*_):
    print("stopped: a checkpoint is written", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in folder.name else stop)
print("learning", flush=True)
print("error: no data\\nerror: and no device" if "bad" in folder.name else "", flush=True)
if "bad" in folder.name:
    sys.exit(2)
(folder / "ready").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
print("done")
"""

CONFIG = {"seed": 0, "model": {"type": "A"}}


def until(test: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until a test is true."""
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Return an empty queue; nothing that it started lives on."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    monkeypatch.setattr(module, "PROGRAM", (script,))
    found = Jobs(tmp_path / "runs")
    yield found
    for process in found._processes.values():
        process.kill()
        process.wait()
