"""Tables that end in the middle of a row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cliqa.inference.score_files.unfinished import images_left, read_whole_rows
from cliqa.inference.scores import Score, to_csv, to_json
from cliqa.utils.errors import ConfigError

HEADER = "image,score\n"
BAD = os.fsdecode(b"caf\xe9.png")
NAMES = ["plain.png", 'a,"b".png', "new\nline.png", "c\rd.png", BAD, "  }.png", "last.png"]
ROWS = [Score(Path(name), None if k == 1 else k / 8) for k, name in enumerate(NAMES)]


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_wherever_a_table_is_cut_its_whole_rows_are_found(tmp_path: Path, kind: str) -> None:
    write = to_csv if kind == "csv" else to_json
    whole = write(ROWS).encode("utf-8", "surrogateescape")
    ends = []  # the bytes up to the end of each row
    for count in range(1, len(ROWS) + 1):
        text = write(ROWS[:count]).encode("utf-8", "surrogateescape")
        ends.append(len(text) - (0 if kind == "csv" else len(b"\n]\n")))
    path = tmp_path / f"s.{kind}.part"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        found = read_whole_rows(path, kind == "json", HEADER)
        count = sum(end <= size for end in ends)
        assert found.images == NAMES[:count]
        assert found.size == (ends[count - 1] if count else 0)
        assert found.without_score == (count > 1)


def test_classes_have_rows_of_three(tmp_path: Path) -> None:
    row = [Score(Path("a.png"), 0.5, None, "bus"), Score(Path("b.png"), None, "broken")]
    for kind, write in (("csv", to_csv), ("json", to_json)):
        (tmp_path / kind).write_text(write(row, of_classes=True))
        found = read_whole_rows(tmp_path / kind, kind == "json", "image,class,probability\n")
        assert (found.images, found.without_score) == (["a.png", "b.png"], 1)


@pytest.mark.parametrize(
    ("text", "is_json", "told"),
    [
        ("name,score\na,1\n", False, "its first line is not image,score"),
        ("image,score\na,1\nb\n", False, "row 2 cannot be read .it has 1 fields instead of 2"),
        ('[\n  {\n    "name": 1\n  }\n]\n', True, "row 1 cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, is_json: bool, told: str) -> None:
    (tmp_path / "s").write_text(text)
    with pytest.raises(ConfigError, match=rf"--resume: .*s is not a table of .*: {told}"):
        read_whole_rows(tmp_path / "s", is_json, HEADER)


PATHS = [Path(name) for name in "abcdefg"]


@pytest.mark.parametrize(
    ("done", "left", "begun"),
    [
        ("", "abcdefg", 0),
        ("abc", "defg", 0),
        ("abcd", "defg", 1),  # the batch d e f is computed as a whole
        ("abcdefg", "", 0),
        ("cab", "defg", 0),
        ("af", "bcdeg", 0),
    ],
)
def test_images_without_a_row_are_left(done: str, left: str, begun: int) -> None:
    found = images_left(PATHS, list(done), 3, "s.csv")
    assert found == ([Path(name) for name in left], begun)


def test_an_image_that_is_given_twice_has_two_rows() -> None:
    assert images_left([Path("a"), Path("b"), Path("a")], ["b", "a"], 1, "s")[0] == [Path("a")]


def test_rows_of_other_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"s\.csv has a row of x, which is not among the images"):
        images_left(PATHS, ["a", "x"], 3, "s.csv")
