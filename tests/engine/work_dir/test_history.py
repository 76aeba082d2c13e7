"""A run's metrics.jsonl: appended to, and cut to the rows of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.work_dir.history import History, read_rows
from cliqa.utils.errors import CheckpointError

Row = dict[str, Any]


def epoch(step: int, number: int) -> Row:
    return {"kind": "epoch", "experience": step, "epoch": number, "loss": 0.1 / number}


def evaluation(step: int, dataset: str = "a") -> Row:
    return {"kind": "eval", "experience": step, "dataset": dataset, "srcc": 1 / 3}


def lines(folder: Path) -> list[Row]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def begun(folder: Path) -> History:
    history = History(folder / "metrics.jsonl")
    history.begin()
    return history


def state(history: History, step: int) -> Row:
    return {"next_step": step, "history": history.counts()}


def test_rows_are_appended_as_they_come(tmp_path: Path) -> None:
    history, found = begun(tmp_path), list[Row]()
    assert lines(tmp_path) == []
    for step in range(2):
        found.append({"kind": "rehearsal", "experience": step})
        history.epochs.append(epoch(step, 1))
        before = (tmp_path / "metrics.jsonl").read_bytes()
        history.append(found)
        history.evaluations.append(evaluation(step))
        history.append(found)
        history.append(found)
        assert (tmp_path / "metrics.jsonl").read_bytes().startswith(before)
    kinds = [row["kind"] for row in lines(tmp_path)]
    assert kinds == ["rehearsal", "epoch", "eval"] * 2


def test_a_resume_cuts_the_file_to_the_checkpoints_rows(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoints" / "last.pth"
    history, found, states = begun(tmp_path), list[Row](), list[tuple[Row, bytes]]()
    for step in range(3):
        found.append({"kind": "rehearsal", "experience": step})
        for number in (1, 2):
            history.epochs.append(epoch(step, number))
            history.append(found)
            states.append((state(history, step), (tmp_path / "metrics.jsonl").read_bytes()))
        history.evaluations += [evaluation(step, name) for name in "ab"]
        history.append(found)
        states.append((state(history, step + 1), (tmp_path / "metrics.jsonl").read_bytes()))
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    for saved, then in states:
        (tmp_path / "metrics.jsonl").write_bytes(whole + b'{"kind": "epoch", "exp')  # half a line
        resumed = History(tmp_path / "metrics.jsonl")
        resumed.restore(read_rows(checkpoint, saved))
        resumed.begin()
        assert (tmp_path / "metrics.jsonl").read_bytes() == then
        assert resumed.counts() == saved["history"]


def test_rows_of_data_sets_that_came_later_do_not_count(tmp_path: Path) -> None:
    history = begun(tmp_path)
    for step in range(2):
        history.epochs.append(epoch(step, 1))
        history.evaluations.append(evaluation(step))
        history.append(())
    saved = state(history, 2)
    history.evaluations[:] = [evaluation(step, name) for step in range(2) for name in "ab"]
    history.rewrite(())
    places = [(row["kind"], row["experience"], row.get("dataset")) for row in lines(tmp_path)]
    first = [("epoch", 0, None), ("eval", 0, "a"), ("eval", 0, "b")]
    assert places[:3] == first
    rows = read_rows(tmp_path / "checkpoints" / "exp_1.pth", saved)
    assert [row["dataset"] for row in rows if row["kind"] == "eval"] == ["a", "a"]


def test_a_plugin_that_changes_a_row_has_the_file_written_anew(tmp_path: Path) -> None:
    history = begun(tmp_path)
    history.epochs.append(epoch(0, 1))
    history.append([{"kind": "rehearsal", "experience": 0, "kept": 1}])
    history.append([{"kind": "rehearsal", "experience": 0, "kept": 2}])
    assert [row.get("kept") for row in lines(tmp_path)] == [2, None]


def test_missing_rows_are_an_error_with_advice(tmp_path: Path) -> None:
    history = begun(tmp_path)
    history.epochs += [epoch(0, 1), epoch(0, 2)]
    history.append(())
    saved, path = state(history, 0), tmp_path / "metrics.jsonl"
    text, checkpoint = path.read_text(), tmp_path / "checkpoints" / "last.pth"
    path.write_text(text[: len(text) // 3])
    advice = r"metrics\.jsonl does not hold its history \(0 of 2 epochs, .* load_from=.*last\.pth"
    with pytest.raises(CheckpointError, match=advice):
        read_rows(checkpoint, saved)
    path.write_text(text.replace("epoch", "a\\ufffd", 1))
    with pytest.raises(CheckpointError, match="1 of 2 epochs"):
        read_rows(checkpoint, saved)
    path.unlink()
    with pytest.raises(CheckpointError, match="0 of 2 epochs"):
        read_rows(checkpoint, saved)
    assert read_rows(checkpoint, state(begun(tmp_path), 0)) == []
