"""Errors that a user can act on: the package's own, and system errors explained with a remedy.

Nothing heavy is imported here: errors of libraries are recognized by their names and texts.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence

_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONGEST_WORD = 1000


class CliqaError(Exception):
    """A mistake in the input: shown as its message, without a traceback.

    A message may quote the content of a damaged file: control characters are shown as escapes, and
    very long words are cut.
    """

    def __str__(self) -> str:
        text = super().__str__()
        text = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
        return re.sub(
            rf"(\S{{60}})\S{{{_LONGEST_WORD - 60},}}",
            lambda found: f"{found[1]}... ({len(found[0])} characters)",
            text,
        )


class ConfigError(CliqaError):
    """A config, an option or an argument is wrong."""


class DatasetError(CliqaError):
    """A label file or an image is wrong or missing."""


class ModelError(CliqaError):
    """A model cannot be built, or weights do not fit it."""


class CheckpointError(CliqaError):
    """A checkpoint cannot be read, or belongs to another run."""


class EvaluationError(CliqaError):
    """Predictions and targets cannot be compared."""


class ArtifactError(CliqaError):
    """A file of a work_dir is missing or damaged."""


class MachineError(CliqaError):
    """The machine lacks memory or another resource."""


class HubError(CliqaError):
    """The Hub lacks a model, refuses it, or cannot be reached."""


class TrustError(CliqaError):
    """A file needs something that only trusted files may use."""


FEWER = "Use fewer workers (num_workers)"

IN_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large for the disk or for the limit on files (ulimit -f)",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk or the network drive has failed",
    errno.ESTALE: "the network drive was remounted; start again",
    errno.ETIMEDOUT: "the network drive does not respond",
    errno.ENODEV: "there is no such device",
    errno.ENXIO: "there is no such device",
    errno.EBUSY: "another program is using it",
    errno.EMFILE: f"too many open files. {FEWER}, or raise the limit (ulimit -n 65536)",
    errno.ENFILE: f"too many open files on this machine. {FEWER}",
    errno.EAGAIN: f"too many processes. {FEWER}, or raise the limit (ulimit -u)",
    errno.ENOMEM: f"out of memory. {FEWER}, smaller batches or smaller images",
    errno.EBADF: "it is closed",
}
"""System errors that a user can fix, in words."""

OF_A_PATH = {
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "its parent is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.EEXIST: "it already exists",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its symbolic links form a loop",
}
"""Errors that a user can fix if they name a path; without one they are a bug."""

NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "can not allocate",
    "failed to allocate memory",
    "bad_alloc",
    "bad allocation",
    "status_alloc_failed",
)
"""Parts of messages of PyTorch, CUDA, ONNX Runtime and OpenVINO, in lower case."""

SHARED_MEMORY = (
    f"shared memory (/dev/shm) is used up. {FEWER}, or give a container more: "
    "docker run --shm-size=8g"
)
OF_SHARED_MEMORY = (
    "insufficient shared memory",
    "bus error",
    "shared memory object",
    "unable to mmap",
    "unable to write to file </torch",
    "unable to resize file </torch",
)
"""Parts of messages about shared memory, in lower case."""

WORKER_ENDED = re.compile(
    r"DataLoader worker \(pid.*?\) (?:is killed by signal: (?P<signal>[^.]+)|exited unexpectedly)"
)
IN_WORKER = re.compile(r"Caught (\w+) in DataLoader worker process")
OS_ERROR = re.compile(
    r"^(?:\w+\.)*\w+: \[Errno (\d+)\] ([^:\n]+)(?:: ('.*'|\".*\"))?\s*$", re.MULTILINE
)


def machine_trouble(error: BaseException) -> str | None:
    """Return a system error (disk, memory, files, processes) as one line with a remedy.

    Args:
        error: Raised by Python or a library, in this process or in a loader's worker process.

    Returns:
        The line; None if it is not a system error.
    """
    if isinstance(error, OSError):
        return _explain_os_error(_from_worker(error))
    text = str(error)
    lower = text.lower()
    if "too many open files" in lower or "items of ancdata" in lower:
        return f"{IN_WORDS[errno.EMFILE]}."
    if isinstance(error, RuntimeError) and any(part in lower for part in OF_SHARED_MEMORY):
        return f"{SHARED_MEMORY}."
    if is_out_of_memory(error):
        return f"{IN_WORDS[errno.ENOMEM]}{in_brackets(error)}."
    if isinstance(error, RuntimeError):
        return _explain_worker_end(text)
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the CPU or a GPU.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."))
    True
    >>> is_out_of_memory(ValueError("out of memory of one's own"))
    False
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    of_library = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    text = str(error).lower()
    return of_library and any(part in text for part in NO_MEMORY)


def in_brackets(error: BaseException) -> str:
    """Return the beginning of an error's message in brackets, an empty text if it has none.

    >>> in_brackets(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."))
    ' (CUDA out of memory. Tried to allocate 2.00 GiB)'
    >>> in_brackets(MemoryError())
    ''
    """
    line = str(error).strip().partition("\n")[0]
    start = ". ".join(line.split(". ")[:2]).rstrip(".")
    return f" ({start})" if start else ""


def first_line(error: object) -> str:
    r"""Return the first line of an error, or of its text; its type if it has none.

    >>> first_line(ValueError("row 3\nrow 4")), first_line(KeyError())
    ('row 3', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _explain_os_error(error: OSError) -> str | None:
    """Return the line for an `OSError`; it names the file, if there is one."""
    name = error.filename if error.filename2 is None else error.filename2
    words = IN_WORDS.get(error.errno or 0)
    if words is None and name is not None:
        words = OF_A_PATH.get(error.errno or 0)
    if words is None:
        return None
    shown = os.fsdecode(name) if isinstance(name, (str, bytes)) else name
    return f"{'writing' if shown is None else shown}: {words}."


def _from_worker(error: OSError) -> OSError:
    """Return the error that a worker process raised.

    PyTorch raises one of the same class, with the worker's traceback as its message.
    """
    found = OS_ERROR.findall(str(error)) if IN_WORKER.match(str(error)) else []
    if not found:
        return error
    number, text, name = found[-1]
    return OSError(int(number), text, *([name[1:-1]] if name else []))


def _explain_worker_end(text: str) -> str | None:
    """Return the line for a worker process that has ended or cannot be started."""
    if "can't start new thread" in text:
        return f"{IN_WORDS[errno.EAGAIN]}."
    ended = WORKER_ENDED.search(text)
    if ended is None:
        return None
    signal = ended["signal"] or "Killed"
    if signal == "Killed":
        return (
            "a worker process that loads images was killed, most likely because memory ran "
            f"out. {FEWER}, smaller batches or smaller images."
        )
    return (
        f"a worker process that loads images has crashed ({signal}). Use num_workers=0 to see "
        "which image causes it."
    )


def either(names: Sequence[str]) -> str:
    """Return names as alternatives, for a message.

    >>> either([".csv", ".json", ".md"]), either([".csv"])
    ('.csv, .json or .md', '.csv')
    """
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
