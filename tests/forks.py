"""Runs of scripts in copies of the tests' process, which has imported the libraries already.

A script that is started anew imports the libraries for six seconds; the trainer has a test that
does so. Other scripts are run here, with a console, a folder and variables of their own; each has a
test that runs it `anew`: it must find the package by itself, and imports all of it again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import torch

from cliqa.datasets.labels import mat_file


class Fork:
    """A script that runs in a copy of this process; it is asked as a `subprocess.Popen` is.

    Args:
        arguments: The script and what it is given.
        out: The descriptor of its standard output.
        error: The descriptor of its standard error.
        cwd: The folder that it works in.
        variables: Of its environment, beside this process's.
        anew: It imports this project again, from where it finds it.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        out: int,
        error: int,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
        anew: bool = False,
    ) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                _become(out, error, cwd, variables or {})
                if anew:
                    _forget_project(Path(str(arguments[0])).resolve())
                status = _run([str(part) for part in arguments])
            finally:
                os._exit(status)

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for the end and return the exit status."""
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Stop it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(out: int, error: int, cwd: Path | None, variables: Mapping[str, str]) -> None:
    """Let this process look like a new one."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, error)):
        os.dup2(source, target)
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)  # type: ignore[misc]
    os.environ.update(variables)
    os.chdir(cwd or ".")
    torch.set_num_threads(1)


def _forget_project(script: Path) -> None:
    """Take this project out of what is imported, and out of the paths where a script finds it."""
    root = Path(__file__).resolve().parents[1]
    ours = {"cliqa", "perf", "tests", "tools", *(path.stem for path in root.glob("*.py"))}
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]
    others = [path for path in sys.path if Path(path or ".").resolve() != root]
    sys.path[:] = [str(script.parent), *others]  # as Python begins
    logging.getLogger("cliqa").handlers.clear()
    if "mmpretrain.registry" in sys.modules:
        sys.modules["mmpretrain.registry"].MODELS.children.pop("cliqa", None)


def _run(arguments: list[str]) -> int:
    """Run a script; return its exit status."""
    arguments = arguments[1:] if arguments[0] == "-P" else arguments  # this path is safe already
    sys.argv = arguments if arguments[0] != "-m" else arguments[1:]
    status = 0
    try:
        if arguments[0] == "-m":
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as a new Python would end
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def run_script(
    *arguments: object, cwd: Path | None = None, anew: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, see `Fork`; return its exit status and what it printed."""
    if not hasattr(os, "fork"):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        status = Fork(arguments, out.fileno(), error.fileno(), cwd, anew=anew).wait()
        out.seek(0)
        error.seek(0)
        words = [str(part) for part in arguments]
        return subprocess.CompletedProcess(words, status or 0, out.read(), error.read())


def read_mat_file(
    command: Sequence[str],
    *,
    input: bytes,  # noqa: A002  as `subprocess.run` has it
    **_: object,
) -> subprocess.CompletedProcess[bytes]:
    """Run the reader of MATLAB files, as `subprocess.run` does, in a copy of this process."""
    with contextlib.ExitStack() as files:
        given, out, error = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(input)
        given.seek(0)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for target, source in enumerate((given, out, error)):
                    os.dup2(source.fileno(), target)
                sys.stdin, sys.stdout = (os.fdopen(k, "rw"[k], closefd=False) for k in (0, 1))
                sys.stderr = os.fdopen(2, "w", closefd=False)
                sys.argv = ["mat_file", *command[command.index("-m") + 2 :]]
                mat_file.MEMORY += psutil.Process().memory_info().vms  # the libraries' of a copy
                status = mat_file.main()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        error.seek(0)
        return subprocess.CompletedProcess(command, status, out.read(), error.read())
