"""The processes of a run: joining them, and what one of them does for all.

PyTorch's own package does the work: ``torch.distributed``, with NCCL on GPUs and Gloo on CPUs.
Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from cliqa.utils.errors import CliqaError, ConfigError, first_line

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""How long processes wait for each other; a process that ends is noticed at once."""

TO_JOIN = timedelta(minutes=10)
"""How long a process waits for the others to be started."""

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What ``torchrun`` sets in the environment of every process."""

OF_SEVERAL = (*NEEDED, "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID")
"""What makes a process one of several; such variables may be left over in an environment."""

ALONE = "or unset RANK and WORLD_SIZE for a single one"

RESUME = "continue with --resume"


class OtherProcessError(CliqaError):
    """Another process of the run has stopped."""


class _Group:
    """What is known of this process's group."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
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
    return number("TORCHELASTIC_RESTART_COUNT", 0) > 0


def started() -> int:
    """Return how many processes were started for the run, joined or not."""
    return number("WORLD_SIZE", 1) if "RANK" in os.environ else 1


def single(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a program starts as a single process.

    Args:
        variables: An environment; what makes a process one of several is left out.
    """
    return {name: value for name, value in variables.items() if name not in OF_SEVERAL}


def store() -> Any:  # noqa: ANN401
    """Return what the processes exchange words by; None before they have joined."""
    return _group.store


def on_this_machine() -> int:
    """Return how many of the run's processes share this machine."""
    return max(1, number("LOCAL_WORLD_SIZE", 1)) if size() > 1 else 1


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

    local, present = number("LOCAL_RANK", 0), torch.cuda.device_count()
    here = max(number("LOCAL_WORLD_SIZE", 1), local + 1)
    if name == "auto" and not present:
        return "cpu"
    if not present:
        raise ConfigError(f"--device {name}: no GPU for PyTorch here. Use --device cpu.")
    if here > present:
        raise ConfigError(
            f"--device {name}: this machine has {present} GPU(s) for {here} processes. Start "
            f"torchrun with --nproc-per-node {present}, or use --device cpu."
        )
    return f"cuda:{local}"


@contextlib.contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes that ``torchrun`` has started, inside the block.

    Args:
        device: This process's, from `device_of`: NCCL connects GPUs, Gloo CPUs.

    Raises:
        ConfigError: The environment has only a part of what ``torchrun`` sets, a process has no
            place among the others, or they do not come.
    """
    if started() == 1:
        yield
        return
    lacking = [name for name in NEEDED if name not in os.environ]
    if lacking:
        raise ConfigError(
            f"RANK and WORLD_SIZE are set, and {', '.join(lacking)} not. Start the processes with "
            f"torchrun --nproc-per-node N, {ALONE}."
        )
    own, count = number("RANK", -1), started()
    if not 0 <= own < count:
        raise ConfigError(
            f"RANK is {os.environ['RANK']} and WORLD_SIZE {count}: no process of so many has that "
            f"number. Start the processes with torchrun --nproc-per-node N, {ALONE}."
        )
    import torch  # noqa: PLC0415  takes seconds
    from torch import distributed  # noqa: PLC0415

    on_gpu = device.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(device)
    shared = _store(own, count)
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo", store=shared, rank=own, world_size=count, timeout=PATIENCE
    )
    _group.rank, _group.size, _group.store = own, count, shared
    try:
        yield
        distributed.destroy_process_group()  # after an error others may not answer
    finally:
        _group.rank, _group.size = 0, 1


def _store(own: int, count: int) -> Any:  # noqa: ANN401
    """Return what processes exchange addresses by, once all of them are there.

    Raises:
        ConfigError: Some do not come.
    """
    place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        shared = rendezvous(TO_JOIN)
        if shared.add("there", 1) >= count:
            shared.set("complete", "1")
        shared.wait(["complete"], TO_JOIN)
    except (RuntimeError, ValueError) as error:  # a time that is over, a port that is taken
        raise ConfigError(
            f"process {own} of {count} has waited for the others at {place}, and they did not all "
            f"come ({first_line(error)}). Start all of them with torchrun "
            f"--nproc-per-node N, {ALONE}."
        ) from error
    shared.set_timeout(PATIENCE)
    return shared


def rendezvous(patience: timedelta) -> Any:  # noqa: ANN401
    """Return the store of the processes; after a restart without what earlier ones left in it."""
    from torch import distributed  # noqa: PLC0415  takes seconds

    found, _, _ = next(distributed.rendezvous("env://", timeout=patience))
    return distributed.PrefixStore(f"cliqa/{number('TORCHELASTIC_RESTART_COUNT', 0)}", found)


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


def from_all(value: T) -> list[T]:
    """Return the values of all processes, the main one's first, in every process.

    Args:
        value: Of plain types.
    """
    if size() == 1:
        return [value]
    from torch import distributed  # noqa: PLC0415  takes seconds

    found: list[Any] = [None] * size()
    distributed.all_gather_object(found, value)
    return found


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


def number(name: str, default: int) -> int:
    """Return a number of the environment."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else default
