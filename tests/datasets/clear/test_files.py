"""Text and JSON files: every damage is named with its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.clear.files import read_json, read_object, read_text, written_by
from cliqa.utils.errors import DatasetError


def test_a_file_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"b": ["\xc3\xa9"]}')
    assert read_json(path) == read_object(path) == {"b": ["é"]}


def test_the_advice_can_be_pasted_into_a_shell() -> None:
    advice = written_by("fewshot", Path("my data"), "--shot 5")
    assert advice.endswith("cliqa data clear fewshot 'my data' --shot 5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"1": ', r"a\.json, line 1, column 7: no valid JSON"),
        (b"", r"a\.json, line 1, column 1: no valid JSON"),
        (b"\xff\xfe", r"a\.json: not UTF-8 text"),
        (b'{"a": {"7": 1, "8": 2, "7": 3}}', r"a\.json: '7' occurs twice"),
        (b"[1]", r"a\.json: expected a JSON object, got a list"),
    ],
)
def test_damaged_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_object(tmp_path / "a.json")


def test_a_missing_file_comes_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.txt: missing\. Do this"):
        read_text(tmp_path / "a.txt", "Do this.")
    with pytest.raises(DatasetError, match=r"cannot be read \(Is a directory\)"):
        read_text(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000], ids=["deep", "long"])
def test_json_that_python_cannot_hold_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DatasetError, match=r"a\.json: no readable JSON"):
        read_json(tmp_path / "a.json")


def test_a_name_that_no_file_has_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read .*null"):
        read_text(tmp_path / "a\0b")
