"""The thread of a server that starts what waits in the queue."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from cliqa.app.queue.job import ALIVE, WAITING
from cliqa.app.queue.jobs import Jobs
from cliqa.utils.errors import machine_trouble
from cliqa.utils.locks import folder_lock
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

LOOK = 0.5
"""Seconds between two looks at the queue."""

SERVER = ".server"
"""The lock of the server that starts jobs: of several over the same runs only one does."""


class Runner:
    """Starts the jobs of a queue in their order, at most `parallel` at a time.

    Runs go on when the server ends: it neither stops them nor waits. The next server finds them.

    Args:
        jobs: The queue.
        parallel: How many run at a time.
    """

    def __init__(self, jobs: Jobs, parallel: int = 1) -> None:
        self.jobs, self.parallel = jobs, parallel
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="queue", daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """End the thread; what runs goes on."""
        self._end.set()
        self._thread.join()

    def step(self) -> None:
        """Look once: start what waits where there is room."""
        states = self.jobs.states()
        running = sum(state in ALIVE for _, state in states)
        for job, state in states:
            if state == WAITING and running < self.parallel:
                try:
                    self.jobs.start(job)
                except OSError as error:  # of this job alone; those behind it must not wait
                    self.jobs.fail(job, machine_trouble(error) or str(error))
                    continue
                running += 1

    def _work(self) -> None:
        """Look again and again, as the only server that does."""
        with ExitStack() as held:
            mine, told = False, ""
            while not self._end.wait(LOOK):
                try:
                    mine = mine or self._take(held)
                    if mine:
                        self.step()
                    told = ""
                except Exception as error:  # noqa: BLE001  it must go on, and the log says why not
                    if told != repr(error):  # once, not twice a second as long as a disk is full
                        logger.exception("the queue of runs")
                    told = repr(error)

    def _take(self, held: ExitStack) -> bool:
        """Become the server that starts jobs; wait, if another one is."""
        self.jobs.folder.mkdir(parents=True, exist_ok=True)
        attempt = ExitStack()
        if attempt.enter_context(folder_lock(self.jobs.folder, SERVER)):
            held.push(attempt.pop_all())
            return True
        attempt.close()
        return False
