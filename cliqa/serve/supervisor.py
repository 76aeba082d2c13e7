"""The parent process of a service: it opens the port, starts the workers, and keeps them running.

Every worker has a listening socket of its own at the same port (SO_REUSEPORT), so that the system
shares connections out among them. The parent holds all sockets too: what waits at that of a worker
that has died is taken by the one that is started in its place.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from cliqa.serve.options import ServiceOptions
from cliqa.utils.errors import ConfigError, MachineError
from cliqa.utils.logging import get_logger
from cliqa.utils.system.extras import install_extra
from cliqa.utils.system.ports import open_port, web_address
from cliqa.utils.system.python_process import python_command, with_package
from cliqa.utils.system.signals import on_stop

logger = get_logger(__name__)

LIBRARIES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")

GRACE = 5.0
"""Seconds besides a request's timeout that a worker may take to stop."""

TRIES = 3
"""Workers in a row that may die before they answer anything."""

TICK = 0.2
NUMBERS = "PROMETHEUS_MULTIPROC_DIR"
ROOM = 2**20
"""Free bytes that the numbers of a worker need: they are memory-mapped files, and writing into one
for which the disk has no room ends a process."""


class _Worker:
    """A worker process.

    Args:
        command: Its arguments, up to the numbers of its files.
        listener: Its socket.
        environment: Its environment variables.

    Attributes:
        is_ready: It answers requests.
    """

    def __init__(
        self, command: Sequence[str], listener: socket.socket, environment: dict[str, str]
    ) -> None:
        self.pipe, ready = os.pipe()
        self.is_ready = False
        try:
            self.process = subprocess.Popen(
                [*command, str(listener.fileno()), str(ready)],
                stdin=subprocess.PIPE,  # its end tells a worker that the parent is gone
                pass_fds=(listener.fileno(), ready),
                env=environment,
            )
        finally:
            os.close(ready)

    def look(self) -> None:
        """Find out whether it is ready."""
        if not self.is_ready and select.select([self.pipe], [], [], 0)[0]:
            self.is_ready = os.read(self.pipe, 1) == b"1"

    def close(self) -> None:
        """Close what was shared with it; it has ended."""
        os.close(self.pipe)
        if self.process.stdin is not None:
            self.process.stdin.close()


class Supervisor:
    """The parent of a service's processes.

    Args:
        options: What is asked for.
    """

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options
        self._workers: list[_Worker] = []
        self._listeners: list[socket.socket] = []
        self._failed, self._told = 0, False
        self._signals: list[int] = []
        self._wake = (-1, -1)

    def run(self) -> int:
        """Serve until a signal comes; return the exit status.

        Raises:
            ConfigError: An option is wrong, or the port cannot be used.
            MachineError: Workers die before they answer anything.
        """
        self.options.check()
        check_libraries()
        if not Path(self.options.model).exists():
            raise ConfigError(
                f"{self.options.model}: there is no such work_dir, checkpoint or exported file."
            )
        self._listeners = open_port(self.options.host, self.options.port, self.options.processes)
        folder = tempfile.mkdtemp(prefix="cliqa-serve-")
        try:
            with self._caught_signals():
                self._environment = self._variables(folder)
                return self._keep()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
                worker.close()
            for listener in self._listeners:
                listener.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _variables(self, folder: str) -> dict[str, str]:
        """Return the workers' environment variables."""
        threads = {"OMP_NUM_THREADS": str(self.options.threads)}
        return {**threads, **with_package(os.environ), NUMBERS: folder}

    def _keep(self) -> int:
        """Start the workers and keep them, until a signal comes."""
        self._start(self._listeners[0])  # the others only if the first one can open the model
        while not self._signals:
            select.select([self._wake[0]], [], [], TICK)
            for place, worker in enumerate(self._workers):
                status = worker.process.poll()
                if status is None:
                    worker.look()
                    continue
                if not self._told and status > 0 and not worker.is_ready:
                    return status  # it has said why
                self._replace(place, status)
            if self._workers[0].is_ready:
                for listener in self._listeners[len(self._workers) :]:
                    self._start(listener)
            if not self._told and all(worker.is_ready for worker in self._workers):
                self._tell()
        return self._stop()

    def _start(self, listener: socket.socket, place: int | None = None) -> None:
        """Start a worker, in the place of another one or as one more."""
        environment = dict(self._environment)
        if shutil.disk_usage(environment[NUMBERS]).free < ROOM:
            logger.warning(
                "%s: the disk is full. A process starts without the numbers of the others, so "
                "/metrics is not a sum; free %d bytes there, and start the service again",
                environment.pop(NUMBERS),
                ROOM,
            )
        command = python_command("-m", "cliqa.serve.worker", self.options.to_json())
        worker = _Worker(command, listener, environment)
        if place is None:
            self._workers.append(worker)
        else:
            self._workers[place] = worker

    def _replace(self, place: int, status: int) -> None:
        """Start a worker in the place of one that has died.

        Raises:
            MachineError: Too many have died before they were ready.
        """
        dead = self._workers[place]
        self._failed = 0 if dead.is_ready else self._failed + 1
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        if self._failed >= TRIES or not self._told:
            raise MachineError(
                f"the scoring process ended {how} at its start. If that is signal 9, memory ran "
                "out: use fewer --processes or a smaller model."
            )
        logger.warning("process %d ended %s; another one takes its place", dead.process.pid, how)
        dead.close()
        folder = Path(self._environment[NUMBERS])
        for file in folder.glob(f"gauge_live*_{dead.process.pid}.db"):
            file.unlink()
        self._start(self._listeners[place], place)

    def _tell(self) -> None:
        """Say that the service is ready."""
        self._told = True
        host, port = self._listeners[0].getsockname()[:2]
        count = len(self._workers)
        logger.info(
            "%s/score scores with %s (%s); Ctrl-C ends it",
            web_address(host, port),
            self.options.model,
            "1 process" if count == 1 else f"{count} processes",
        )

    def _stop(self) -> int:
        """Let the workers answer what they have; return the exit status."""
        logger.info("stopping: what is in the queue is answered; a second signal ends at once")
        first = len(self._signals)
        for worker in self._workers:
            worker.process.terminate()
        end = time.monotonic() + self.options.timeout + GRACE
        while any(worker.process.poll() is None for worker in self._workers):
            if len(self._signals) > first:
                return 128 + self._signals[-1]
            if time.monotonic() > end:
                logger.warning("a process did not stop in time and was killed")
                return 1
            select.select([self._wake[0]], [], [], TICK / 4)
        ended = [(worker.process.poll(), worker.is_ready) for worker in self._workers]
        early = -signal.SIGTERM  # one that was not ready yet has nothing to answer
        return 0 if all(status == 0 or (status == early and not r) for status, r in ended) else 1

    @contextlib.contextmanager
    def _caught_signals(self) -> Iterator[None]:
        """Note signals in place of ending by them."""
        self._wake = os.pipe()
        os.set_blocking(self._wake[1], False)

        def note(number: int) -> None:
            self._signals.append(number)
            with contextlib.suppress(OSError):
                os.write(self._wake[1], b"x")

        try:
            with on_stop(note):
                yield
        finally:
            for end in self._wake:
                os.close(end)


def check_libraries() -> None:
    """Refuse to start where a library is missing.

    Raises:
        ConfigError: With what installs it.
    """
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"not installed: {', '.join(missing)}. Install with: {install_extra('serve')}"
        )
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("the service needs Linux, macOS or another POSIX system. Use WSL.")
