"""Tests of cliqa.utils.archive."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from cliqa.utils import archive
from cliqa.utils.archive import (
    ENTRY,
    MARK,
    MISMATCH,
    ArchiveError,
    check_archive,
    digest_of,
    read_npz,
    resembles,
    seal_zip,
    zip_damage,
)
from cliqa.utils.checkpoint import save_checkpoint
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
    with pytest.raises(ArchiveError, match="would unpack to 1000000 bytes; the limit is 999999"):
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
    with pytest.raises(ArchiveError, match="not a readable archive"):
        check_archive(io.BytesIO(b"text"), 10)
    with pytest.raises(FileNotFoundError):
        check_archive(tmp_path / "none.zip", 10)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a", b"2")
    with pytest.raises(ArchiveError, match="it has duplicate entries"):
        check_archive(buffer, 10)
    locked = bytearray(packed(tmp_path / "a.npz", a=b"1").read_bytes())
    place = locked.index(b"PK\x01\x02")
    locked[place + 8] |= 1
    with pytest.raises(ArchiveError, match="encrypted"):
        check_archive(io.BytesIO(locked), 10)
    monkeypatch.setattr(archive, "ENTRIES", 1)
    write_npz(tmp_path / "b.npz", **ARRAYS)
    with pytest.raises(ArchiveError, match="or too many"):
        check_archive(tmp_path / "b.npz", 10**6)


def test_damage_is_one_error(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", **ARRAYS)
    whole = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place] ^= 1 << rng.integers(8)
        (tmp_path / "a.npz").write_bytes(data[: rng.integers(1, 2 * len(data))])
        try:
            read_npz(tmp_path / "a.npz", tuple(ARRAYS))
        except (ArchiveError, KeyError):
            refused += 1
    assert refused > 100


STATE = {"first": torch.arange(12.0), "second": torch.arange(12.0) + 1, "names": ["eva", "ava"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "a.pth", STATE)
    return tmp_path / "a.pth"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Return a file as PyTorch writes it, without our checksums."""
    torch.save(STATE, tmp_path / "older.pth")
    return tmp_path / "older.pth"


def test_a_whole_file_has_no_damage_and_any_reader_takes_it(file: Path, older: Path) -> None:
    assert zip_damage(file) is None
    found = torch.load(file, weights_only=True)
    assert found.keys() == STATE.keys()
    assert torch.equal(found["second"], torch.arange(12.0) + 1)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.comment.startswith(MARK)
    assert zip_damage(older) is None


def test_flipped_bits_are_found(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    target = tmp_path / "flipped.pth"
    for place in range(0, len(whole), 5):
        bits = bytearray(whole)
        bits[place] ^= 1 << (place % 8)
        target.write_bytes(bits)
        assert zip_damage(target) == MISMATCH, place


def test_cuts_are_found(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    target = tmp_path / "cut.pth"
    for length in range(4, len(whole), 5):
        target.write_bytes(whole[:length])
        assert zip_damage(target) is not None, length


def test_bytes_behind_the_end_are_found(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert zip_damage(file) is not None


def exchanged(source: Path, target: Path, comment: bytes = b"") -> None:
    """Write a zip again with the contents of two entries exchanged, every CRC right."""
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    one, other = (f"archive/data/{k}" for k in (0, 1))
    contents[one], contents[other] = contents[other], contents[one]
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.comment = comment


def test_exchanged_entries_are_found(file: Path, tmp_path: Path) -> None:
    exchanged(file, tmp_path / "other.pth")
    assert zip_damage(tmp_path / "other.pth") == MISMATCH
    with zipfile.ZipFile(file) as archive:
        exchanged(file, tmp_path / "other.pth", archive.comment)
    assert zip_damage(tmp_path / "other.pth") == MISMATCH


def test_exchanged_bytes_are_found(file: Path) -> None:
    content = file.read_bytes()
    one, other = (STATE[name].numpy().tobytes() for name in ("first", "second"))  # type: ignore[attr-defined]
    file.write_bytes(content.replace(one, b"#").replace(other, one).replace(b"#", other))
    assert len(file.read_bytes()) == len(content)
    assert zip_damage(file) == MISMATCH


def test_a_file_that_was_packed_again_is_whole(file: Path, tmp_path: Path) -> None:
    exchanged(file, tmp_path / "twice.pth")
    exchanged(tmp_path / "twice.pth", tmp_path / "back.pth")
    assert zip_damage(tmp_path / "back.pth") is None


def test_of_older_files_the_contents_are_compared(older: Path) -> None:
    content = older.read_bytes()
    tensor = STATE["first"].numpy().tobytes()  # type: ignore[attr-defined]
    older.write_bytes(content.replace(tensor, tensor[:-1] + b"\x01"))
    assert zip_damage(older) == "Bad CRC-32 for file 'older/data/0'"


def test_nothing_is_known_of_other_files(tmp_path: Path) -> None:
    for content in (b"", bytes(500), b"weights, they said"):
        (tmp_path / "x").write_bytes(content)
        assert zip_damage(tmp_path / "x") is None


def test_a_zip_packed_in_an_unknown_way_is_left_to_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "text")
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + place] = 99  # the method of compression
    path.write_bytes(content)
    assert zip_damage(path) is None


def test_a_seal_is_of_the_content_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, STATE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_entries_without_a_folder_are_sealed_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "text")
    with path.open("r+b") as file:
        seal_zip(file)
    assert zip_damage(path) is None
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["a", ENTRY]


def test_marks_are_known_with_a_flipped_bit() -> None:
    assert digest_of(b"a", b"b") == digest_of(b"ab") != digest_of(b"ba")
    assert resembles(MARK, MARK)
    assert not resembles(MARK[:-1], MARK)
    assert not resembles(bytes(len(MARK)), MARK)
