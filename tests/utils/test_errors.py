"""Tests of cliqa.utils.errors."""

from __future__ import annotations

import errno
import inspect
import os
import re

import pytest
import torch

from cliqa.utils import errors
from cliqa.utils.errors import ConfigError, is_out_of_memory, machine_trouble

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
KINDS = [kind for kind in CLASSES if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_except_clause_catches_every_mistake_of_a_user(kind: type[Exception]) -> None:
    with pytest.raises(errors.CliqaError, match=r"^row 3: too large$"):
        raise kind("row 3: too large")


def test_errors_are_no_builtin_ones_that_other_code_catches() -> None:
    assert not any(issubclass(kind, (ValueError, OSError, LookupError)) for kind in KINDS)


def test_what_a_damaged_file_holds_cannot_spoil_the_console() -> None:
    text = str(errors.DatasetError("row 3: '\x1b[31m\r\u2028\u202e\ud800' is no number"))
    assert text == r"row 3: '\x1b[31m\r\u2028\u202e\ud800' is no number"
    assert str(errors.DatasetError("one\ntwo, with \u00e9")) == "one\ntwo, with \u00e9"


def test_an_endless_word_is_cut() -> None:
    text = str(errors.DatasetError(f"a.csv: '{'x' * 5000}' is no number"))
    assert text == f"a.csv: '{'x' * 59}... (5002 characters) is no number"
    path = "/long" * 150
    assert str(errors.DatasetError(f"{path}: missing")) == f"{path}: missing"


WORKER = "Caught {0} in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ENOSPC", "the disk is full."),
        ("EDQUOT", "the disk quota is used up."),
        ("EFBIG", "the file is too large for the disk or for the limit on files (ulimit -f)."),
        ("EACCES", "permission denied."),
        ("EROFS", "the file system is read-only."),
        ("EIO", "the disk or the network drive has failed."),
        ("ESTALE", "the network drive was remounted; start again."),
        ("ETIMEDOUT", "the network drive does not respond."),
        ("ENOENT", "no such file or folder."),
        ("ENOTDIR", "its parent is a file, not a folder."),
        ("EISDIR", "it is a folder, not a file."),
        ("ENAMETOOLONG", "the name is too long."),
        ("ELOOP", "its symbolic links form a loop."),
    ],
)
def test_a_systems_error_names_the_path(code: str, words: str) -> None:
    number = getattr(errno, code)
    assert machine_trouble(OSError(number, os.strerror(number), "w/x")) == f"w/x: {words}"


def test_of_two_paths_the_one_that_is_written_is_named() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "a.jpg", None, "out/a.jpg")
    assert machine_trouble(error) == "out/a.jpg: the disk is full."


def test_a_name_of_bytes_and_no_name() -> None:
    assert (
        machine_trouble(OSError(errno.ENOSPC, "full", b"caf\xe9")) == "caf\udce9: the disk is full."
    )
    assert machine_trouble(OSError(errno.ENOSPC, "full")) == "writing: the disk is full."


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "no such file"),  # without a path it is no user's
        OSError("encoder error"),
        OSError(errno.EXDEV, "Invalid cross-device link", "a"),
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
        ValueError("CUDA out of memory"),
        ConfigError("out of memory"),
        KeyError("x"),
    ],
)
def test_anything_else_is_none_of_the_machines(error: Exception) -> None:
    assert machine_trouble(error) is None
    assert not is_out_of_memory(error)


class OutOfMemoryError(RuntimeError):
    """Stands for the one of a library."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."),
        OutOfMemoryError("no room"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate"
                     " memory: you tried to allocate 80000000000 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)  # fmt: skip
def test_memory_that_does_not_suffice(error: Exception) -> None:
    assert is_out_of_memory(error)
    told = machine_trouble(error)
    assert told is not None
    assert "out of memory. Use fewer workers (num_workers), smaller batches" in told
    assert "\n" not in told


def test_onnx_runtimes_errors_have_no_common_class() -> None:
    kind = type("RuntimeException", (Exception,), {"__module__": "onnxruntime.capi.state"})
    assert is_out_of_memory(kind("[ONNXRuntimeError] : 6 : Failed to allocate memory for buffer"))
    assert not is_out_of_memory(kind("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "DataLoader worker (pid 3) is killed by signal: Killed. ",
            "killed, most likely because memory ran out. Use fewer workers",
        ),
        ("DataLoader worker (pid(s) 3, 4) exited unexpectedly", "most likely because memory"),
        (
            "DataLoader worker (pid 3) is killed by signal: Segmentation fault. ",
            r"has crashed \(Segmentation fault\)\. Use num_workers=0",
        ),
        (
            "DataLoader worker (pid 3) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory.",
            r"shared memory \(/dev/shm\) is used up.*--shm-size=8g",
        ),
        ("unable to open shared memory object </torch_1_2> in read-write mode", "/dev/shm"),
        (
            "unable to open shared memory object </torch_1> in read-write mode: Too many open "
            "files (24)",
            "too many open files",
        ),
        ("received 0 items of ancdata", "too many open files"),
        ("can't start new thread", "too many processes"),
    ],
)
def test_processes_that_read_images(text: str, told: str) -> None:
    found = machine_trouble(RuntimeError(text))
    assert found is not None
    assert re.search(told, found)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("OSError: [Errno 24] Too many open files: 'a/b.png'", "a/b.png: too many open files"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "x: permission denied."),
        ("OSError: [Errno 28] No space left on device", "writing: the disk is full."),
    ],
)
def test_what_a_worker_process_has_met(line: str, told: str) -> None:
    found = machine_trouble(OSError(f"{WORKER.format('OSError')}  File 'x.py', line 3\n{line}\n"))
    assert found is not None
    assert found.startswith(told)
