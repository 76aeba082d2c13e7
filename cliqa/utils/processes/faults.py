"""Who tells of a fault that stops the processes of a run."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from cliqa.utils.processes.group import RESUME, number, rendezvous, started, store

OF_CONNECTIONS = ("gloo", "Gloo", "NCCL", "Connection closed", "Connection reset", "ProcessGroup")
"""Words in the errors of a process whose partner is gone."""


def may_speak() -> bool:
    """Return whether this process reports an error: the first of its run that fails does.

    Errors of the config or the data are the same in all processes, and once one has stopped, the
    others cannot go on.
    """
    if started() == 1:
        return True
    shared = store() or _store_of_agent()
    if shared is None:
        return number("LOCAL_RANK", 0) == 0
    try:
        return int(shared.add("failed", 1)) == 1
    except Exception:  # noqa: BLE001  the store's process has ended too
        return True


def _store_of_agent() -> Any:  # noqa: ANN401
    """Return ``torchrun``'s own store, for processes that have not joined; None without one."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    try:
        return rendezvous(timedelta(seconds=10))
    except (RuntimeError, ValueError):
        return None


def lost_process(error: BaseException) -> str | None:
    """Return a message if an error says that another process does not answer, else None."""
    if started() == 1 or not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if type(error).__name__.startswith("Dist") or any(word in text for word in OF_CONNECTIONS):
        return f"another process of the run has stopped; {RESUME}"
    return None
