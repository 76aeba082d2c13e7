"""Tables of scores: their formats, and that rows are on the disk as soon as they are known."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cliqa.inference.scores import Score, ScoreTable, to_csv, to_json

SCORES = [Score(Path("a, b.png"), 2.5), Score(Path("ä.png"), None, "broken")]
CLASSES = [Score(Path("a.png"), 0.75, None, "bus"), Score(Path("b.png"), None, "cannot be read")]


def written(path: Path, rows: list[Score], of_classes: bool = False) -> str:
    """Return a table that got its rows one by one."""
    table = ScoreTable(path, of_classes)
    for row in rows:
        table.add([row])
    table.finish()
    assert table.count == len(rows)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    text = path.read_bytes().decode()
    assert text == (to_json if path.suffix == ".json" else to_csv)(rows, of_classes)
    return path.read_text(encoding="utf-8")


def test_csv(tmp_path: Path) -> None:
    assert written(tmp_path / "s.csv", SCORES) == 'image,score\n"a, b.png",2.500000\nä.png,\n'
    lines = written(tmp_path / "s.csv", CLASSES, of_classes=True).splitlines()
    assert lines == ["image,class,probability", "a.png,bus,0.750000", "b.png,,"]
    odd = written(tmp_path / "s.csv", [Score(Path("a\rb"), 0.5), Score(Path("c"), 0.5)])
    assert odd.endswith("\nc,0.500000\n")  # a carriage return is quoted
    assert '"a' in odd


def test_json(tmp_path: Path) -> None:
    rows = [
        {"image": "a, b.png", "score": 2.5},
        {"image": "ä.png", "score": None, "error": "broken"},
    ]
    text = written(tmp_path / "s.json", SCORES)
    assert text == json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    first, second = json.loads(written(tmp_path / "s.json", CLASSES, of_classes=True))
    assert first == {"image": "a.png", "class": "bus", "probability": 0.75}
    assert second == {
        "image": "b.png",
        "class": None,
        "probability": None,
        "error": "cannot be read",
    }


def test_the_console_gets_rows_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    table = ScoreTable(None, of_classes=False)
    for row, shown in zip(SCORES, ('image,score\n"a, b.png",2.500000\n', "ä.png,\n"), strict=True):
        table.add([row])
        assert capsys.readouterr().out == shown
    table.finish()
    assert not capsys.readouterr().out


def test_an_old_table_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("old")
    table = ScoreTable(path, of_classes=False)
    table.finish()
    assert path.read_text() == "old"
    table.add(SCORES)
    assert path.read_text() == "old"
    assert (tmp_path / "s.csv.part").read_text(encoding="utf-8").count("\n") == 3
    table.finish()
    assert path.read_text(encoding="utf-8").startswith("image,score")


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_kill_loses_no_score(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"s.{suffix}"
    script = f"""
import os, signal
from pathlib import Path
from cliqa.inference.scores import Score, ScoreTable
table = ScoreTable({str(path)!r}, False)
for k in range(3):
    table.add([Score(Path(f"{{k}}.png"), k / 10)])
os.kill(os.getpid(), signal.SIGKILL)
"""
    found = subprocess.run([sys.executable, "-c", script], check=False)
    assert found.returncode == -9
    text = path.with_name(f"s.{suffix}.part").read_text()
    is_csv = suffix == "csv"
    rows = list(csv.DictReader(text.splitlines())) if is_csv else json.loads(text + "]")
    assert [float(row["score"]) for row in rows] == [0.0, 0.1, 0.2]
