"""What a machine refuses (disk, memory, files, processes), in words that say what to do.

Nothing heavy is imported here: errors of libraries are known by their names and texts.
"""

from __future__ import annotations

import errno
import os
import re

FEWER = "Use fewer workers (num_workers)"

IN_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large for the disk or for the limit on files (ulimit -f)",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "the disk or the network drive fails",
    errno.ESTALE: "the network drive was mounted anew meanwhile; start again",
    errno.ETIMEDOUT: "the network drive does not answer",
    errno.ENODEV: "there is no such device",
    errno.ENXIO: "there is no such device",
    errno.EBUSY: "another program holds it",
    errno.EMFILE: f"too many open files. {FEWER}, or raise the limit (ulimit -n 65536)",
    errno.ENFILE: f"too many open files on this machine. {FEWER}",
    errno.EAGAIN: f"too many processes. {FEWER}, or raise the limit (ulimit -u)",
    errno.ENOMEM: f"out of memory. {FEWER}, smaller batches or smaller images",
    errno.EBADF: "it is closed",
}
"""Errors of the machine that are a user's to mend, in words."""

OF_A_PATH = {
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "it lies below a file, not below a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.EEXIST: "it is there already",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "links lead from one to the other in a circle",
}
"""Errors that are a user's where they name a path; without one they are a bug."""

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
"""Parts of the messages that PyTorch, CUDA, ONNX Runtime and OpenVINO give, in small letters."""

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
"""Parts of messages about memory that processes share, in small letters."""

WORKER_ENDED = re.compile(
    r"DataLoader worker \(pid.*?\) (?:is killed by signal: (?P<signal>[^.]+)|exited unexpectedly)"
)
IN_WORKER = re.compile(r"Caught (\w+) in DataLoader worker process")
OS_ERROR = re.compile(
    r"^(?:\w+\.)*\w+: \[Errno (\d+)\] ([^:\n]+)(?:: ('.*'|\".*\"))?\s*$", re.MULTILINE
)


def machine_trouble(error: BaseException) -> str | None:
    """Return what the machine refuses, in one line with a remedy.

    Args:
        error: What was raised, by Python or by a library, here or in a loader's worker process.

    Returns:
        The line; None where the error is none of the machine's.
    """
    if isinstance(error, OSError):
        return _of_the_system(_from_worker(error))
    text = str(error)
    lower = text.lower()
    if "too many open files" in lower or "items of ancdata" in lower:
        return f"{IN_WORDS[errno.EMFILE]}."
    if isinstance(error, RuntimeError) and any(part in lower for part in OF_SHARED_MEMORY):
        return f"{SHARED_MEMORY}."
    if is_out_of_memory(error):
        return f"{IN_WORDS[errno.ENOMEM]}{in_brackets(error)}."
    if isinstance(error, RuntimeError):
        return _of_processes(text)
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory did not suffice, on the processor or on a GPU.

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
    """Return the beginning of what a library says, in brackets; nothing where it says nothing.

    >>> in_brackets(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."))
    ' (CUDA out of memory. Tried to allocate 2.00 GiB)'
    >>> in_brackets(MemoryError())
    ''
    """
    line = str(error).strip().partition("\n")[0]
    said = ". ".join(line.split(". ")[:2]).rstrip(".")
    return f" ({said})" if said else ""


def _of_the_system(error: OSError) -> str | None:
    """Return the line of a system's error; it names the file that was written, if there is one."""
    name = error.filename if error.filename2 is None else error.filename2
    words = IN_WORDS.get(error.errno or 0)
    if words is None and name is not None:
        words = OF_A_PATH.get(error.errno or 0)
    if words is None:
        return None
    shown = os.fsdecode(name) if isinstance(name, (str, bytes)) else name
    return f"{'writing' if shown is None else shown}: {words}."


def _from_worker(error: OSError) -> OSError:
    """Return a system's error as it was in the worker process that it comes from.

    PyTorch raises one of the same class, with the worker's traceback as its message.
    """
    found = OS_ERROR.findall(str(error)) if IN_WORKER.match(str(error)) else []
    if not found:
        return error
    number, text, name = found[-1]
    return OSError(int(number), text, *([name[1:-1]] if name else []))


def _of_processes(text: str) -> str | None:
    """Return the line of a worker process that has ended, or of one that cannot be started."""
    if "can't start new thread" in text:
        return f"{IN_WORDS[errno.EAGAIN]}."
    ended = WORKER_ENDED.search(text)
    if ended is None:
        return None
    signal = ended["signal"] or "Killed"
    if signal == "Killed":
        return (
            "a process that reads images was ended by the system, most likely because memory ran "
            f"out. {FEWER}, smaller batches or smaller images."
        )
    return (
        f"a process that reads images has crashed ({signal}). With num_workers=0 the message of "
        "the image that does it is seen."
    )
