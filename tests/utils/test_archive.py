from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cliqa.utils import archive
from cliqa.utils.archive import ArchiveError, check_archive, read_npz
from cliqa.utils.io import write_npz

ARRAYS = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "names": np.array(["a.jpg", "é.png"]),
    "none": np.zeros((0, 3), dtype=np.float32),
    "scalar": np.array(2.5),
}


def entry(header: str, data: bytes) -> bytes:
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def packed(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(f"{name}.npy", content)
    return path


def test_arrays_come_back(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", **ARRAYS)
    found = read_npz(tmp_path / "a.npz", tuple(ARRAYS))
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable
    with pytest.raises(KeyError, match="other is not a file in the archive"):
        read_npz(tmp_path / "a.npz", ("other",))


def test_sizes_are_declared_before_anything_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.npz", a=bytes(10**6))
    assert path.stat().st_size < 2000
    assert check_archive(path, 10**6) == {"a.npy": 10**6}
    with pytest.raises(ArchiveError, match="would unpack into 1000000 bytes, and 999999 are the"):
        check_archive(path, 999_999)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,), }", bytes(8), "size is"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", bytes(8), "size is not"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n", "objects"),
        ("{'descr': '<f8', 'shape': (1,), }", bytes(8), "array 'a'"),
        ("[[[", bytes(8), "array 'a'"),
    ],
)
def test_an_array_that_is_not_what_it_says(
    tmp_path: Path, header: str, data: bytes, message: str
) -> None:
    path = packed(tmp_path / "a.npz", a=entry(header, data))
    with pytest.raises(ArchiveError, match=message):
        read_npz(path, ("a",))


def test_archives_of_an_odd_kind_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArchiveError, match="no readable archive"):
        check_archive(io.BytesIO(b"text"), 10)
    with pytest.raises(FileNotFoundError):
        check_archive(tmp_path / "none.zip", 10)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a", b"2")
    with pytest.raises(ArchiveError, match="two of its entries have one name"):
        check_archive(buffer, 10)
    locked = bytearray(packed(tmp_path / "a.npz", a=b"1").read_bytes())
    place = locked.index(b"PK\x01\x02")
    locked[place + 8] |= 1
    with pytest.raises(ArchiveError, match="encrypted"):
        check_archive(io.BytesIO(locked), 10)
    monkeypatch.setattr(archive, "ENTRIES", 1)
    write_npz(tmp_path / "b.npz", **ARRAYS)
    with pytest.raises(ArchiveError, match="there are too many"):
        check_archive(tmp_path / "b.npz", 10**6)


def test_damage_is_one_error(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", **ARRAYS)
    whole = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place] ^= 1 << rng.integers(8)
        (tmp_path / "a.npz").write_bytes(data[: rng.integers(1, 2 * len(data))])
        try:
            read_npz(tmp_path / "a.npz", tuple(ARRAYS))
        except (ArchiveError, KeyError):
            refused += 1
    assert refused > 200
