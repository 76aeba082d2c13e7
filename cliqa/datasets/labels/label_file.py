"""The text of a label file, whatever editor or system wrote it."""

from __future__ import annotations

import codecs
import json
import os
import re
from pathlib import Path
from typing import Any

from cliqa.registry import closest
from cliqa.utils.errors import DatasetError

_PICKLE = (
    "a Python pickle, which runs whatever code is in it and is never read. Save its labels as csv "
    "or JSON"
)

_NOT_TEXT = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook. Unzip it, or save the sheet as csv"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook. Save the sheet as csv"),
    (b"\x1f\x8b", "a gzip archive. Unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer and not the file itself. Run 'git lfs pull'"),
    *((magic, _PICKLE) for magic in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")),
    (b"\x93NUMPY", "a NumPy array. Save the labels as csv, with a column of image names"),
    (b"<!doctype html", "a web page: the download went wrong. Download the file again"),
    (b"<html", "a web page: the download went wrong. Download the file again"),
)


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        DatasetError: The file is missing, is a folder, is empty, or may not be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such label file.{_neighbours(path)}") from error
    except IsADirectoryError as error:
        raise DatasetError(f"{path} is a folder. Give the path of the label file in it.") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}).") from error
    if not data.strip():
        raise DatasetError(f"{path}: the label file is empty. Copy or download it again.")
    return data


def _neighbours(path: Path) -> str:
    """Return a hint to similar files in the missing file's folder."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return f" Nor is there a folder {path.parent}."
    return closest(path.name, names)


def read_text(path: Path) -> str:
    r"""Return a label file's text, with every line end (``\r\n``, ``\r``) as ``\n``.

    UTF-8 with and without a byte order mark is understood, and UTF-16 with one.

    Raises:
        DatasetError: The file cannot be read, or is not text in these encodings.
    """
    data = read_bytes(path)
    for magic, kind in _NOT_TEXT:
        if data[: len(magic)].lower() == magic.lower():
            raise DatasetError(f"{path} is {kind}.")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        row = len(re.findall(rb"\r\n|\r|\n", data[: error.start])) + 1
        raise DatasetError(
            f"{path}, row {row}: byte 0x{data[error.start]:02x} is not {error.encoding}. "
            "Save the file in the encoding UTF-8."
        ) from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise DatasetError(
            f"{path}, row {row}: a NUL byte; this is not a text file. Save it as text in UTF-8."
        )
    if not text.strip():
        raise DatasetError(f"{path}: the label file is empty. Copy or download it again.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> tuple[list[str], list[int]]:
    """Return a label file's lines that are not blank, and their row numbers (from 1).

    Raises:
        DatasetError: As `read_text`.
    """
    # str.splitlines would also split at characters that prompts hold (U+2028, form feed ...).
    lines = [line.strip() for line in read_text(path).split("\n")]
    rows = [row for row, line in enumerate(lines, start=1) if line]
    return [line for line in lines if line], rows


def parse_json(text: str, path: Path, advice: str = "") -> object:
    """Return the value of a file's JSON text; `advice` is what to do about a damaged file.

    Raises:
        DatasetError: It is not JSON, or an object repeats a name.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DatasetError(f"{path}: '{twice}' occurs twice in an object. Remove one of them.")
        return value

    try:
        value: object = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}, column {error.colno}: no valid JSON ({error.msg}). "
            f"{advice}".rstrip()
        ) from error
    except (RecursionError, ValueError) as error:  # too deep; a number of thousands of digits
        raise DatasetError(f"{path}: no readable JSON ({error}). {advice}".rstrip()) from error
    return value
