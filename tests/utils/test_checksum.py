"""Checksums of zip files: what of a file may change without a word, which is nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.checksum import ENTRY, MARK, MISMATCH, digest_of, resembles, seal_zip, zip_damage

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


def test_every_flipped_bit_of_a_file_is_found(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    target = tmp_path / "flipped.pth"
    for place in range(len(whole)):
        bits = bytearray(whole)
        bits[place] ^= 1 << (place % 8)
        target.write_bytes(bits)
        assert zip_damage(target) == MISMATCH, place


def test_every_cut_is_found(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    target = tmp_path / "cut.pth"
    for length in range(4, len(whole)):
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
