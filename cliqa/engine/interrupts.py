"""How a run ends early: by a signal, or because memory runs out."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

from cliqa.utils.errors import MachineError, in_brackets, is_out_of_memory
from cliqa.utils.processes.group import RESUME
from cliqa.utils.system.signals import on_stop


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop by a signal; its message ends with advice.

    An entry point's exit status is 128 + `signum`.
    """

    def __init__(self, signum: int, advice: str = RESUME) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; {advice}")
        self.signum = signum


@contextlib.contextmanager
def stop_on_signals(advice: str = RESUME) -> Iterator[None]:
    """Turn SIGTERM, SIGINT and SIGHUP into `Interrupted` with `advice` inside the block.

    Clusters send SIGTERM before they take a machine away, and a terminal that closes sends SIGHUP;
    without this Python dies on the spot.
    Outside the main thread, where signals cannot be handled, nothing changes.
    """

    def stop(signum: int) -> None:
        raise Interrupted(signum, advice)

    with on_stop(stop):
        yield


@contextlib.contextmanager
def memory_advice(advice: Callable[[], str]) -> Iterator[None]:
    """Name what was in use, and what to lower, if memory runs out in the block.

    Raises:
        MachineError: Memory ran out; its message ends with `advice`.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MachineError(f"out of memory{in_brackets(error)} {advice()}") from error
