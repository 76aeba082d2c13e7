"""MATLAB files are read as SciPy reads them, and a damaged one ends no process but the reader's."""

from __future__ import annotations

import base64
import contextlib
import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from cliqa.datasets.labels import mat_file
from cliqa.datasets.labels.mat_file import MatError, read_variables

CRASHES = base64.b64decode(
    "TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFN1biBOb3YgMjkgMTQ6NTc6Mz"
    "EgMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0OAAAA2AAA"
    "AAYAAAAIAAAABgAAAAAAAAAFAAAACAAAAAEAAAATAAAAAQAAAA4AAABBbF9yZWxlYXNlAAAJAAAAmAAAAAAAAAAAAA"
    "AAAAAAAAAAFEAAAAAAAAAkQAAAAAAAAC5AAAAAAAAANEAAAAAAAAA5QAAAAAAAAD5AAAAAAACAQUAAAAAAAABEQAAA"
    "AAAAgEZAAAAAAAAASUAAAAAAAIBLQAAAAAAAAE5AAAAAAABAUEAAAAAAAIBRQAAAAAAAwFJAAAAAAAAAVEAAAAAAAE"
    "BVQAAAAAAAgFZA"
)
"""A file of which some versions of SciPy's reader end with a segmentation fault."""


def written(**variables: object) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=True)
    return file.getvalue()


def test_variables_are_those_that_scipy_reads() -> None:
    cells = np.empty((1, 3), dtype=object)
    cells[0] = ["a.bmp", "é.bmp", np.array([1.0, 2.0])]
    numbers = np.arange(6.0).reshape(2, 3)
    data = written(mos=numbers, names=cells, flags=np.array([1, 0], dtype=np.uint8), text="abc")
    found, known = read_variables(data, ["mos", "names", "flags", "text", "none"])
    assert known == ["mos", "names", "flags", "text"]
    assert np.array_equal(found["mos"], numbers.ravel())
    assert found["names"].tolist() == ["a.bmp", "é.bmp", None]
    assert found["flags"].dtype == np.uint8
    assert found["text"].tolist() == ["abc"]
    assert "none" not in found


def test_a_structure_is_neither_numbers_nor_text() -> None:
    found, _ = read_variables(written(one={"a": 1.0}), ["one"])
    assert found["one"].tolist() == [None]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no -P yet")
def test_modules_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random", "numpy", "cliqa"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')\n")
    monkeypatch.chdir(tmp_path)
    found, _ = read_variables(written(mos=np.arange(2.0)), ["mos"])
    assert found["mos"].tolist() == [0.0, 1.0]


def test_a_crash_of_the_reader_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.suppress(MatError):  # SciPy's versions differ; this process goes on
        read_variables(CRASHES, ["Al_release"])

    def crash(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], -11, b"", b"")

    monkeypatch.setattr(mat_file.subprocess, "run", crash)
    with pytest.raises(MatError, match="crashed on it, exit status -11"):
        read_variables(b"", [])


def test_an_endless_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat_file, "SECONDS", 0.01)
    with pytest.raises(MatError, match=r"did not end in 0\.01 seconds"):
        read_variables(written(a=1.0), ["a"])


@pytest.mark.slow
def test_damage_is_an_error_and_nothing_else() -> None:
    valid = written(mos=np.arange(20.0), names=np.array(["a", "b"], dtype=object))
    plain = io.BytesIO()
    scipy.io.savemat(plain, {"mos": np.arange(20.0)})
    chance = random.Random(0)
    for source in (valid, plain.getvalue()) * 4:
        data = bytearray(source)
        for _ in range(3):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(MatError):
            found, _ = read_variables(bytes(data), ["mos"])
            assert set(found) <= {"mos"}
