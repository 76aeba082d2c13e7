"""The processes of a run: joining them, and what one of them does for all.

PyTorch's own package does the work: ``torch.distributed``, with NCCL on GPUs and Gloo on CPUs.
Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from cliqa.utils.errors import CliqaError, ConfigError

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other; a process that ends is noticed at once."""

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What ``torchrun`` sets in the environment of every process."""

OF_CONNECTIONS = ("gloo", "Gloo", "NCCL", "Connection closed", "Connection reset", "ProcessGroup")
"""Words in the errors of a process whose partner is gone."""

RESUME = "continue with --resume"


class OtherProcessError(CliqaError):
    """Another process of the run has stopped."""


class _Group:
    """What is known of this process's group."""

    def __init__(self) -> None:
        self.rank, self.size, self.joined = 0, 1, False
        self.store: Any = None


_group = _Group()


def size() -> int:
    """Return how many processes the run has; 1 without ``torchrun``."""
    return _group.size


def rank() -> int:
    """Return the number of this process, from 0."""
    return _group.rank


def is_main() -> bool:
    """Return whether this process writes the run's files."""
    return _group.rank == 0


def was_restarted() -> bool:
    """Return whether ``torchrun --max-restarts`` has started the processes again."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) > 0


def started() -> int:
    """Return how many processes were started for the run, joined or not."""
    return _number("WORLD_SIZE", 1) if "RANK" in os.environ else 1


def on_this_machine() -> int:
    """Return how many of the run's processes share this machine."""
    return max(1, _number("LOCAL_WORLD_SIZE", 1)) if _group.joined else 1


def device_of(name: str) -> str:
    """Return the device of this process: with several on GPUs, each has its own.

    Args:
        name: As given: ``"auto"``, ``"cuda"``, ``"cuda:N"`` or ``"cpu"``.

    Raises:
        ConfigError: It names one GPU for several processes.
    """
    if started() == 1 or name == "cpu":
        return name
    if name.startswith("cuda:"):
        raise ConfigError(
            f"--device {name}: {started()} processes cannot share one GPU. Use --device cuda, "
            "which gives each process its own."
        )
    import torch  # noqa: PLC0415  takes seconds

    local, present = _number("LOCAL_RANK", 0), torch.cuda.device_count()
    if name == "auto" and not present:
        return "cpu"
    if not present:
        raise ConfigError(f"--device {name}: no GPU for PyTorch here. Use --device cpu.")
    if local >= present:
        raise ConfigError(
            f"--device {name}: this machine has {present} GPU(s) for {local + 1} processes or "
            f"more. Start torchrun with --nproc-per-node {present}, or use --device cpu."
        )
    return f"cuda:{local}"


@contextlib.contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes that ``torchrun`` has started, inside the block.

    Args:
        device: This process's, from `device_of`: NCCL connects GPUs, Gloo CPUs.

    Raises:
        ConfigError: The environment has only a part of what ``torchrun`` sets.
    """
    if started() == 1:
        yield
        return
    lacking = [name for name in NEEDED if name not in os.environ]
    if lacking:
        raise ConfigError(
            f"RANK and WORLD_SIZE are set, and {', '.join(lacking)} not. Start the processes with "
            "torchrun --nproc-per-node N, or unset RANK and WORLD_SIZE for a single one."
        )
    import torch  # noqa: PLC0415  takes seconds
    from torch import distributed  # noqa: PLC0415

    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    store, own, count = next(distributed.rendezvous("env://", timeout=PATIENCE))
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo", store=store, rank=own, world_size=count, timeout=PATIENCE
    )
    _group.rank, _group.size, _group.joined, _group.store = own, count, True, store
    try:
        yield
        distributed.destroy_process_group()  # after an error others may not answer
    finally:
        _group.rank, _group.size, _group.joined = 0, 1, False


def may_speak() -> bool:
    """Return whether this process reports an error: the first of its run that fails does.

    Errors of the config or the data are the same in all processes, and once one has stopped, the
    others cannot go on.
    """
    if _group.store is None:
        return _number("LOCAL_RANK", 0) == 0 or started() == 1
    try:
        return int(_group.store.add("cliqa/failed", 1)) == 1
    except Exception:  # noqa: BLE001  the store's process has ended too
        return True


def lost_process(error: BaseException) -> str | None:
    """Return a message if an error says that another process does not answer, else None."""
    if started() == 1 or not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if type(error).__name__.startswith("Dist") or any(word in text for word in OF_CONNECTIONS):
        return f"another process of the run has stopped; {RESUME}"
    return None


def from_main(value: T) -> T:
    """Return the main process's value, in every process.

    Args:
        value: Of plain types; what others than the main process give is not used.
    """
    if size() == 1:
        return value
    from torch import distributed  # noqa: PLC0415  takes seconds

    held = [value if is_main() else None]
    distributed.broadcast_object_list(held, src=0)
    return held[0]  # type: ignore[return-value]


def wait_for_all() -> None:
    """Wait until every process of the run has come here."""
    if size() > 1:
        from torch import distributed  # noqa: PLC0415  takes seconds

        distributed.barrier()


@contextlib.contextmanager
def main_first() -> Iterator[None]:
    """Let the main process do the block before the others: what it makes, they find.

    Raises:
        OtherProcessError: The main process has failed in it.
    """
    if size() == 1:
        yield
        return
    if is_main():
        done = False
        try:
            yield
            done = True
        finally:
            from_main(done)
        return
    if not from_main(False):
        raise OtherProcessError(f"the main process has failed; {RESUME}")
    yield


def in_main(work: Callable[[], object]) -> None:
    """Do something in the main process, while the others wait.

    Raises:
        OtherProcessError: The main process has failed in it.
    """
    with main_first():
        if is_main():
            work()


def _number(name: str, default: int) -> int:
    """Return a number of the environment."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default
