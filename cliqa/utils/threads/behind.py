"""Work that is done behind by a thread, one piece after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Behind:
    """One piece of work at a time in a thread, in the order in which they are given.

    What a piece raises is raised by the next call of `do` or `wait`. Nothing runs at the end of the
    process that nobody has waited for: call `wait`.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Wait for the earlier piece, and begin the next one.

        Raises:
            Exception: What the earlier piece raised; the next one is not begun then.
        """
        self.wait()
        thread = threading.Thread(target=self._run, args=(work,), name="behind")
        thread.start()
        self._thread = thread

    def wait(self) -> None:
        """Wait for the last piece.

        Raises:
            Exception: What it raised; a second call does not raise it again.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self, work: Callable[[], object]) -> None:
        """Do a piece, and keep what it raises."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again by who waits
            self._failure = error
