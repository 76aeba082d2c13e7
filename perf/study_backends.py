"""What Ray adds to a study on one machine: ``python perf/study_backends.py``.

Six runs, each of which computes for a second, two at a time: as processes of this machine, and as
tasks of a Ray that is started here and ended again. The difference is what Ray costs. The CPU
time is that of this process and of all that descend from it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from cliqa.studies.backends.commands import Backend, Command
from cliqa.studies.backends.local import Local
from cliqa.studies.backends.ray import Cluster, connected
from cliqa.utils.cli import run_entry_point
from perf.rounds import ROUNDS, print_row, spread, take_turns

RUNS, JOBS, SECONDS = 6, 2, 1.0

RUN = f"import time\nwhile time.process_time() < {SECONDS}: pass\n"
"""A run: it starts in no time and computes for a second."""


class Used:
    """The CPU seconds of this process and of all that descend from it, those that ended too."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._own = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def __call__(self) -> float:
        """Return them so far, without those of the look itself."""
        return sum(self._seconds.values()) + time.process_time() - self._own

    def _watch(self) -> None:
        while True:
            for process in psutil.Process().children(recursive=True):
                try:
                    times = process.cpu_times()
                except psutil.Error:
                    continue
                self._seconds[process.pid] = times.user + times.system
            self._own = time.thread_time()
            time.sleep(0.05)


def study(folder: Path, opened: Callable[[Path], Backend] | None) -> None:
    """Run the study, with Ray where there is no other way to open a backend."""
    script = folder / "run.py"
    script.write_text(RUN)
    words = (sys.executable, str(script), str(script))
    commands = [
        Command(words, folder / f"{k}.log", f"run {k}", folder / str(k)) for k in range(RUNS)
    ]
    ended: list[int] = []
    if opened is not None:
        opened(folder).run(commands, lambda _, status: ended.append(status))
    else:
        with connected(Cluster(jobs=JOBS), folder) as backend:
            backend.run(commands, lambda _, status: ended.append(status))
    if ended != [0] * RUNS:
        raise RuntimeError(f"the runs ended with {ended}")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure both ways in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    rounds = parser.parse_args(argv).rounds
    used = Used()
    cpu: dict[str, list[float]] = {"local": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:

        def arm(name: str, opened: Callable[[Path], Backend] | None) -> Callable[[], None]:
            def run() -> None:
                before = used()
                study(Path(folder), opened)
                cpu[name].append(used() - before)

            return run

        arms = {"local": arm("local", lambda _: Local(JOBS)), "ray": arm("ray", None)}
        wall = take_turns(arms, rounds, time.perf_counter)
    added = [
        spread(
            [b - a for a, b in zip(times["local"][-rounds:], times["ray"][-rounds:], strict=True)]
        )
        for times in (wall, cpu)
    ]
    here = spread(wall["local"])
    print_row(
        "studies on Ray",
        "perf/study_backends.py",
        f"{RUNS} runs of {SECONDS:g} s of CPU time, {JOBS} at a time on one machine, {rounds} "
        f"rounds: Ray, started and ended with the study, adds {added[0]} s of wall time to {here} "
        f"s as processes, and {added[1]} s of CPU time",
    )


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
