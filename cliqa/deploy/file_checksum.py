"""Checksums of exported files: an ONNX file's own, and those of OpenVINO's files.

A checksum of an ONNX file is its last property, of all bytes before it. OpenVINO's files are
several, and the ``.xml`` ends with a comment that has a checksum of each. Both are of a fixed
length, so that a damaged one is still found; files without any are of other programs, and are taken
as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.utils.archive import LENGTH, MISMATCH, digest_of, resembles
from cliqa.utils.errors import ArtifactError

if TYPE_CHECKING:
    from onnx import ModelProto

KEY = "cliqa.checksum"
"""The property of an ONNX file that holds its checksum."""

_PAIR = b"\x0a" + bytes([len(KEY)]) + KEY.encode() + b"\x12" + bytes([LENGTH])
PROPERTY = b"\x72" + bytes([len(_PAIR) + LENGTH]) + _PAIR
"""How a property of this name begins in protobuf's coding: metadata_props is field 14."""

ENDINGS = (".xml", ".bin", ".json")
"""OpenVINO's files, in the order of their checksums."""

COMMENT, CLOSED = b"<!-- cliqa checksums ", b" -->\n"


def seal_onnx(proto: ModelProto) -> bytes:
    """Return an ``onnx.ModelProto`` as a file's bytes, its checksum the last of them."""
    strip_checksum(proto)
    content: bytes = proto.SerializeToString()
    return content + PROPERTY + digest_of(content).encode()


def check_onnx(content: bytes, path: str | Path) -> None:
    """Refuse an ONNX file that does not match its checksum, if it has one.

    Raises:
        ArtifactError: It is damaged.
    """
    place = len(content) - len(PROPERTY) - LENGTH
    found = content[max(0, place) :]
    if not resembles(found[: len(PROPERTY)], PROPERTY):
        return
    if found != PROPERTY + digest_of(content[:place]).encode():
        raise ArtifactError(
            f"{path}: damaged: {MISMATCH}. Export the checkpoint again with cliqa compress "
            f"export. Where another program has changed it on purpose, remove its property '{KEY}'."
        )


def strip_checksum(proto: ModelProto) -> None:
    """Remove the checksum of the file that an ``onnx.ModelProto`` was read from, in place."""
    kept = [(row.key, row.value) for row in proto.metadata_props if row.key != KEY]
    if len(kept) < len(proto.metadata_props):
        del proto.metadata_props[:]
        for key, value in kept:
            proto.metadata_props.add(key=key, value=value)


def seal_openvino(path: Path) -> None:
    """Write the checksums of OpenVINO's files into the ``.xml``, which must have none yet."""
    content = path.read_bytes()
    path.write_bytes(content + _comment(path, content))


def check_openvino(path: Path) -> None:
    """Refuse OpenVINO's files where one does not match its checksum, if they have any.

    A ``.json`` that is missing is not missed: the model runs without it.

    Args:
        path: The ``.xml`` file; it exists, and so does its ``.bin``.

    Raises:
        ArtifactError: One is damaged, or they are of two models.
    """
    content = path.read_bytes()
    length = len(COMMENT) + len(ENDINGS) * (LENGTH + 1) - 1 + len(CLOSED)
    place = max(0, len(content) - length)
    found = content[place:]
    if not resembles(found[: len(COMMENT)], COMMENT):
        return
    wanted = _comment(path, content[:place])
    if found == wanted:
        return
    then, now = (each[len(COMMENT) : -len(CLOSED)].split(b" ") for each in (found, wanted))
    differ = {
        ending: old != new and path.with_suffix(ending).is_file()
        for ending, old, new in zip(ENDINGS, then, now, strict=False)
    }
    framed = found.startswith(COMMENT) and found.endswith(CLOSED) and len(then) == len(ENDINGS)
    if framed and not any(differ.values()):
        return  # without the .json
    others = [ending for ending in ENDINGS[1:] if differ.get(ending)]
    wrong = path.with_suffix(others[0]) if framed and others and not differ[".xml"] else path
    raise ArtifactError(
        f"{wrong}: damaged, or of another model than {path.name}: {MISMATCH}. Write the files "
        "again with cliqa compress quantize or auto."
    )


def _comment(path: Path, content: bytes) -> bytes:
    """Return the comment that the ``.xml`` of this content ends with."""
    contents = [content, *(_content(path.with_suffix(ending)) for ending in ENDINGS[1:])]
    return COMMENT + " ".join(map(digest_of, contents)).encode() + CLOSED


def _content(path: Path) -> bytes:
    """Return a file's bytes, none where it is missing."""
    return path.read_bytes() if path.is_file() else b""
