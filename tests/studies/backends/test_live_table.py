"""What runs where: attempts are told once, and the rows follow the lines of progress."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from cliqa.studies.backends.board import Board
from cliqa.studies.backends.live_table import LiveTable, table
from cliqa.utils import progress


def row(**changed: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a run's row."""
    return {"node": "n1", "attempt": 1, "note": "starts", "age": 0.0, **changed}


def test_rows_are_aligned_and_say_what_is_unusual() -> None:
    names = {0: "a, seed 0", 1: "longer, seed 1", 2: "c", 3: "d"}
    rows = {0: row(age=40.2, note="experience 1"), 1: row(node="node2", attempt=3)}
    assert table(names, rows) == [
        "a, seed 0       n1     experience 1  no word for 40 s",
        "longer, seed 1  node2  starts  2 retries",
        "2 more: waiting",
    ]
    many = {k: row() for k in range(20)}
    assert table({k: str(k) for k in range(21)}, many)[-2:] == [
        "8 more: running",
        "1 more: waiting",
    ]
    assert table({}, {}) == []


def test_attempts_are_told_once_and_the_rows_follow_the_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with LiveTable(["a", "b"]) as shown:
        for _ in range(2):
            shown.show({0: row()})
        shown.show({0: row(attempt=2, node="n2")})
        text = progress._lines.text().splitlines()
        assert text[0] == "on the nodes: 0 of 2 runs"
        assert text[1:] == ["  a  n2  starts  1 retry", "  1 more: waiting"]
        shown.end(0)
        shown.show({0: row(attempt=2, node="n2")})
        assert progress._lines.text().splitlines()[1:] == ["  1 more: waiting"]
    assert progress._lines.text() == ""
    told = [record.getMessage() for record in caplog.records]
    assert told == ["a: on n1", "a: on n2, attempt 2: the one before was lost"]


def test_a_terminal_has_the_rows_below_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with progress.Phase("runs", 2, "run"), LiveTable(["a", "b"]) as shown:
        shown.show({0: row(), 1: row(node="n2")})
        assert "\n" in screen.getvalue()
        assert "b  n2  starts" in screen.getvalue()
    assert not progress.bar_is_shown()


def test_a_board_tells_older_attempts_to_stop() -> None:
    board = Board(2)
    assert board.begin(0, "n1") == 1
    assert not board.tell(0, 1, "experience 1")
    assert board.begin(0, "n2") == 2
    assert board.tell(0, 1, "still here")
    assert not board.tell(0, 2, "")
    assert board.look()[0]["note"] == "starts"
    assert board.begin(0, "n3") == 0  # too many
    board.stop()
    assert board.tell(0, 2, "")
    assert board.begin(1, "n1") == 0
    assert set(board.look()) == {0}
