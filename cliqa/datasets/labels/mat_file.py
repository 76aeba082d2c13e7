"""Variables of a MATLAB file, read by SciPy in a process of its own.

SciPy's compiled reader trusts the lengths that a file declares: a damaged one can end its process
with a segmentation fault. Here that is the child's end alone, and an error in ours.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from cliqa.utils.system.python_process import python_command, with_package

SECONDS = 120
"""How long a file may take; label files take a second, most of it for the imports."""

MEMORY = 4 * 2**30
"""Bytes that the child may have, so that a small file cannot swell into everything."""

FAILED = 3
"""The child's exit status where SciPy raised an error, which stands on its stderr."""


class MatError(ValueError):
    """The bytes are not a readable MATLAB file."""


def read_variables(data: bytes, names: Sequence[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return variables of a MATLAB file of a version up to 7.2, and the names of all it has.

    They are flattened to (N,); those that are not there are left out. Cells are an array of
    objects: text where a cell holds text, else None.

    Raises:
        MatError: The file is damaged, of another version, or too large.
    """
    try:
        done = subprocess.run(
            python_command("-m", __name__, *names),
            input=data,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={**with_package(os.environ), "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise MatError(f"reading it did not end in {SECONDS} seconds") from error
    if done.returncode == FAILED:
        raise MatError(done.stderr.decode("utf-8", "replace").strip() or "damaged")
    if done.returncode:
        raise MatError(f"SciPy's reader crashed on it, exit status {done.returncode}")
    with np.load(io.BytesIO(done.stdout), allow_pickle=False) as content:
        known = [str(name) for name in content["known"]]
        found = {name: content[f"value_{k}"] for k, name in enumerate(names) if name in known}
        for k, name in enumerate(names):
            if f"is_text_{k}" in content:
                found[name] = np.where(content[f"is_text_{k}"], found[name].astype(object), None)
    return found, known


def main() -> int:
    """Read a file from stdin and write the variables that the arguments name to stdout."""
    _limit_memory()
    import scipy.io  # noqa: PLC0415  in the child alone: it takes a moment

    names, data = sys.argv[1:], sys.stdin.buffer.read()
    try:
        known = [name for name, _, _ in scipy.io.whosmat(io.BytesIO(data))]
        content = scipy.io.loadmat(io.BytesIO(data), variable_names=names)
        arrays = {"known": np.array(known, dtype=np.str_)}
        for k, name in enumerate(names):
            if name in content:
                arrays |= _plain(np.asarray(content[name]).ravel(), k)
        output = io.BytesIO()
        np.savez(output, allow_pickle=False, **arrays)
    except Exception as error:  # noqa: BLE001  damage surfaces in SciPy as any error
        text = " ".join(str(error).split()) or type(error).__name__
        sys.stderr.write(text)
        return FAILED
    sys.stdout.buffer.write(output.getvalue())
    return 0


def _plain(values: np.ndarray, place: int) -> dict[str, np.ndarray]:
    """Return a variable as arrays without objects: numbers as they are, cells as texts."""
    if values.dtype.kind in "biufcU":
        return {f"value_{place}": values}
    texts = [_text_of(value) for value in values]
    return {
        f"value_{place}": np.array([text or "" for text in texts], dtype=np.str_),
        f"is_text_{place}": np.array([text is not None for text in texts], dtype=bool),
    }


def _text_of(cell: object) -> str | None:
    """Return the text of a cell, which may lie in cells of one, or None for anything else."""
    while isinstance(cell, np.ndarray) and cell.size == 1:
        cell = cell.flat[0]
    return str(cell) if isinstance(cell, str) else None


def _limit_memory() -> None:
    """Let the process have no more than `MEMORY`, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  there is none on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    sys.exit(main())
