"""One process of the service: ``python -m cliqa.serve.worker OPTIONS SOCKET READY``.

Its parent (`cliqa.serve.supervisor`) has opened the port. SIGTERM, or the end of the parent, stops
it: new work is refused, what is in the queue is answered, and it ends with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence

import uvicorn

from cliqa.config.trust import trusting
from cliqa.serve.application import endpoints
from cliqa.serve.boundary import HEADER_BYTES, Boundary, to_stdout
from cliqa.serve.options import ServiceOptions
from cliqa.serve.protocol import GuardedProtocol
from cliqa.serve.scorer import open_scorer
from cliqa.serve.service import Service
from cliqa.transforms.image_file import LIMIT
from cliqa.utils.cli import run_entry_point

NOISY = ("python_multipart", "asyncio")
"""Libraries that log what a client does wrong."""

PAUSE = 0.05


class _Server(uvicorn.Server):
    """uvicorn's server, whose signals are handled here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal comes."""
    text, number, ready = sys.argv[1:] if argv is None else argv
    options = ServiceOptions.from_json(text)
    for of_terminal in (signal.SIGINT, signal.SIGHUP):  # they reach the parent too, which stops us
        signal.signal(of_terminal, signal.SIG_IGN)
    os.environ[LIMIT] = str(options.max_pixels)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if options.trust:  # a run's own modules may lie where the command was given
        sys.path.append(os.getcwd())
    with trusting(options.trust):
        scorer = open_scorer(options)
    service = Service(scorer, options)
    try:
        asyncio.run(_serve(service, socket.socket(fileno=int(number)), int(ready)))
    finally:
        service.close()
    return 0


async def _serve(service: Service, listener: socket.socket, ready: int) -> None:
    """Serve at a socket; write to `ready` once requests are answered."""
    log = to_stdout if service.options.access_log else None
    config = uvicorn.Config(
        Boundary(endpoints(service), service.metrics, log),
        http=GuardedProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)  # at its end the parent is gone
    serving = loop.create_task(server.serve([listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    with contextlib.suppress(OSError):
        os.write(ready, b"1")
    stopped = loop.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(sys.stdin.fileno())
    await _drain(service)
    server.should_exit = True
    await serving


async def _drain(service: Service) -> None:
    """Refuse new work, and wait for what was taken: no request takes longer than its timeout."""
    service.draining = True
    end = asyncio.get_running_loop().time() + service.options.timeout
    while service.active and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
