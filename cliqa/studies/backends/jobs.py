"""What a node is told of a run, and the mark of the process that told it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cliqa.studies.backends.commands import Command
from cliqa.utils.io import write_text
from cliqa.utils.system.python_process import with_package

TOKEN = ".driver"
"""The file in the study's folder that marks the driver's: it is gone, or another's, at the end."""


CARRIED = ("CLIQA_", "CUBLAS_", "HF_", "MKL_", "OMP_", "OPENBLAS_", "PYTHON", "TORCH", "WANDB_")
"""How the variables begin that runs on other nodes get from here."""


@dataclass(frozen=True)
class Job:
    """All that a node must know of a run, as plain values.

    Args:
        arguments: The command.
        log: The file of its output.
        folder: Its work_dir.
        needs: Files of other runs that it reads.
        cwd: The folder that paths start from.
        variables: Of its environment, beside the node's own.
        out: The study's folder.
        token: The content of `TOKEN`.
        storage: Where its files are kept between nodes; "" where all nodes share a file system.
        owner: Who writes its place in the storage: an attempt's name.
    """

    arguments: tuple[str, ...]
    log: str
    folder: str
    needs: tuple[str, ...]
    cwd: str
    variables: dict[str, str]
    out: str
    token: str
    storage: str = ""
    owner: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return asdict(self)

    @classmethod
    def of(
        cls,
        command: Command,
        out: Path,
        token: str,
        variables: Mapping[str, str],
        storage: str = "",
    ) -> Job:
        """Return the job of a command."""
        return cls(
            arguments=command.arguments,
            log=str(command.log),
            folder=str(command.folder),
            needs=tuple(map(str, command.needs)),
            cwd=os.getcwd(),
            variables=dict(variables),
            out=str(out),
            token=token,
            storage=storage,
        )

    def place_of(self, path: str) -> str:
        """Return the place of a work_dir in the storage."""
        return Path(os.path.relpath(path, self.out)).as_posix()


@contextlib.contextmanager
def driver_token(out: Path) -> Iterator[str]:
    """Mark a study's folder as this process's inside the block; yield the mark."""
    token, path = secrets.token_hex(8), out / TOKEN
    write_text(path, token)
    try:
        yield token
    finally:
        if read_token(path) == token:
            path.unlink(missing_ok=True)


def read_token(path: Path) -> str:
    """Return the content of a small file, "" if it is not there."""
    try:
        os.listdir(path.parent)  # a network drive then asks its server
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def carried(cpus: int) -> dict[str, str]:
    """Return the variables of a run: some of this process's, and its number of threads."""
    own = with_package({n: value for n, value in os.environ.items() if n.startswith(CARRIED)})
    return {"OMP_NUM_THREADS": str(cpus), **own}


def look_again(folder: Path) -> None:
    """Let a network drive ask its server what a folder holds now that another node has written."""
    for path in (folder.parent, folder, folder / "checkpoints"):
        with contextlib.suppress(OSError):
            os.listdir(path)


def add_error(log: Path, reason: str) -> None:
    """Add the reason of a failure to the output of a run."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"error: {reason}\n")
