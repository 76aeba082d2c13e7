"""Devices and worker processes: which device a name means, and how many processes may load images.

Importing this module does not import torch.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    import torch

WORKERS_PER_CPU = 8
MIN_WORKER_LIMIT = 64

AUTO_WORKERS = "auto"
"""A config's ``num_workers`` that asks for as many as are worth it."""
CPUINFO = Path("/proc/cpuinfo")
CPUS = Path("/sys/devices/system/cpu")
"""Where Linux says which logical CPUs are one core."""

QUOTAS = (
    Path("/sys/fs/cgroup/cpu.max"),
    Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
)
"""A container's CPU time, in cgroup's second and first version."""


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`.

    Args:
        name: ``"auto"`` (the first GPU, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        ConfigError: The name is unknown, or the machine has no such GPU.
    """
    index = check_device(name)
    import torch  # noqa: PLC0415  takes seconds

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        have = f"{count} GPU(s), cuda:0 to cuda:{count - 1}" if count else "no GPU for PyTorch"
        raise ConfigError(f"--device {name}: this machine has {have}. Use --device auto or cpu.")
    return torch.device("cuda", index)


def check_device(name: str) -> int:
    """Return the number of the GPU that a name means, 0 where it means none, without torch.

    Raises:
        ConfigError: The name is unknown.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d{1,9}))?", name)
    if match is None:
        raise ConfigError(f"--device {name}: unknown device. Use auto, cpu, cuda or cuda:N.")
    return int(match.group(1) or 0)


def processor_name() -> str:
    """Return the name of the processor, for reports of measured speed."""
    if CPUINFO.is_file():
        match = re.search(
            r"^model name\s*:\s*(.+)$", CPUINFO.read_text(errors="replace"), re.MULTILINE
        )
        if match:
            return match.group(1).strip()
    return platform.processor() or platform.machine() or "unknown"


def most_workers() -> int:
    """Return the largest number of worker processes: 8 for each CPU, at least 64.

    Each takes some hundred megabytes; far more would exhaust the memory before the first image.
    """
    return max(MIN_WORKER_LIMIT, WORKERS_PER_CPU * (os.cpu_count() or 1))


def workers_mistake(value: object) -> str | None:
    """Return the expected value if a number of worker processes cannot be used, else None."""
    most = most_workers()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return None
    return f"an integer from 0 to {most} (this machine has {os.cpu_count()} CPUs)"


def config_workers_mistake(value: object) -> str | None:
    """Return the expected value if a config's ``num_workers`` cannot be used, else None."""
    mistake = None if value == AUTO_WORKERS else workers_mistake(value)
    return mistake and f"'{AUTO_WORKERS}' or {mistake}"


def check_workers(value: object, where: str) -> None:
    """Refuse a number of worker processes that cannot be used.

    Args:
        value: The number; 0 loads in the process itself.
        where: The key or option, for the message.

    Raises:
        ConfigError: It is negative, no integer, or more than the machine can run.
    """
    expected = workers_mistake(value)
    if expected:
        raise ConfigError(f"{where}: expected {expected}, got {value!r}.")


def usable_cpus() -> int:
    """Return how many logical CPUs this process may use: by its affinity, and by its cgroup."""
    return max(1, min(len(_allowed()), _quota() or len(_allowed())))


def compute_threads() -> int:
    """Return with how many threads an exported file's backend computes.

    ``OMP_NUM_THREADS`` decides if it is set. Otherwise there is one for each core that the process
    may use, two logical CPUs of one core counted once, and no more than PyTorch's own number if
    PyTorch is imported.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if given.isdecimal() and int(given):
        return int(given)
    cores = len({_siblings(cpu) for cpu in _allowed()})
    count = max(1, min(cores, _quota() or cores))
    torch = sys.modules.get("torch")
    return count if torch is None else min(count, int(torch.get_num_threads()))


def _allowed() -> set[int]:
    """Return the numbers of the logical CPUs that the process's affinity allows."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _siblings(cpu: int) -> str:
    """Return a name of the core that a logical CPU is part of."""
    try:
        return (CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Return how many CPUs the cgroup's quota is worth, rounded up; None without a quota."""
    for path in QUOTAS:
        try:
            words = path.read_text().split()
            if len(words) < 2:
                words.append(path.with_name("cpu.cfs_period_us").read_text().strip())
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):  # "max" is no number: no quota
            continue
        if quota > 0 and period > 0:
            return -(-quota // period)
    return None


def bfloat16_is_fast() -> bool:
    """Return whether the CPU multiplies bfloat16 itself, as Linux and PyTorch tell it."""
    text = CPUINFO.read_text(errors="replace") if CPUINFO.is_file() else ""
    flags = set(text.partition("flags")[2].partition("\n")[0].split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})


def check_compiler(kind: str, option: str) -> None:
    """Refuse to compile a network where a compiler is missing.

    Args:
        kind: Of the device: ``"cpu"``, ``"cuda"``.
        option: What asks for it, for the message.

    Raises:
        ConfigError: There is no C++ compiler, or no Triton for a GPU.
    """
    compiler = os.environ.get("CXX", "g++")
    if kind == "cuda" and find_spec("triton") is None:
        raise ConfigError(
            f"{option}: the package triton is not installed, which compiles for GPUs. Install it, "
            f"or leave {option} out."
        )
    if kind == "cpu" and not any(map(shutil.which, (compiler, "clang++"))):
        raise ConfigError(
            f"{option}: there is no C++ compiler ({compiler}) on this machine. Install one (apt "
            f"install g++), or leave {option} out: an exported file needs none "
            "(cliqa compress export)."
        )


def is_of_compiler(error: Exception) -> bool:
    """Return whether an error is of ``torch.compile`` itself."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
