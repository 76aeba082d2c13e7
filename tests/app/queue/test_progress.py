"""How far a run is, from its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cliqa.app.queue import progress as module
from cliqa.app.queue.progress import DONE, progress_of, status_of
from cliqa.config.load import dump_config

ROW: dict[str, Any] = {"kind": "epoch", "loss": 1.0, "lr": 0.1}


@pytest.fixture
def config(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    """Return a config of three epochs on each of three data sets."""
    tiny_config["cl_strategy"]["train_epochs"] = 3
    dump_config(tiny_config, tmp_path / "config.py")
    return tmp_path / "config.py"


def write(folder: Path, *epochs: tuple[int, int], results: dict[str, Any] | None = None) -> None:
    """Write a run's epochs, as (experience, epoch), and its results."""
    folder.mkdir(exist_ok=True)
    rows = [{**ROW, "experience": k, "name": "abc"[k], "epoch": epoch} for k, epoch in epochs]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if results is not None:
        (folder / "results.json").write_text(json.dumps(results))


def test_a_run_that_has_written_nothing(config: Path, tmp_path: Path) -> None:
    found = progress_of(tmp_path / "none", config)
    assert (found.share, found.words, found.score) == (None, "", None)


def test_the_number_of_experiences_is_known_after_the_first(
    config: Path, tmp_path: Path, tiny_run: Path
) -> None:
    run = tmp_path / "run"
    write(run, (0, 1), (0, 2))
    before = progress_of(run, config)
    assert before.words == "Experience 1 (a), epoch 2 of 3."
    assert before.share is None
    results = json.loads((tiny_run / "results.json").read_text())
    results["status"] = "running"
    for part in ("matrix", "interval"):
        results[part] = {key: rows and rows[:1] for key, rows in results[part].items()}
    write(run, (0, 1), (0, 2), (0, 3), (1, 1), results=results)
    after = progress_of(run, config)
    count = len(results["experiences"])
    assert after.words == f"Experience 2 of {count} (b), epoch 1 of 3."
    assert after.share == pytest.approx((1 + 1 / 3) / count)
    assert after.score == pytest.approx(results["matrix"]["srcc"][0][0])  # of what it has learnt
    assert after.measure == "SRCC"
    assert after.stamp != before.stamp


def test_a_finished_run(config: Path, tiny_run: Path) -> None:
    found = progress_of(tiny_run, config)
    results = json.loads((tiny_run / "results.json").read_text())
    last = results["matrix"]["srcc"][-1]
    assert found.score == pytest.approx(sum(last) / len(last))
    assert found.words == DONE
    assert found.share == 1.0


def test_damaged_files_are_no_progress(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text("{\n")
    (run / "results.json").write_text("{")
    found = progress_of(run, tmp_path / "no config.py")
    assert (found.share, found.words, found.score) == (None, "", None)


def test_what_has_not_changed_is_not_read_again(
    config: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    write(run, (0, 1))
    before = progress_of(run, config)
    with monkeypatch.context() as patch:
        patch.setattr(module, "load_metrics", None)
        assert progress_of(run, config) is before
    write(run, (0, 1), (0, 2), results=json.loads((tiny_run / "results.json").read_text()))
    after = progress_of(run, config)
    assert after.stamp != before.stamp
    assert status_of(run) == "finished"
    assert status_of(tmp_path / "none") is None


@pytest.mark.parametrize("row", [{"kind": "epoch"}, {**ROW, "experience": 1e999, "epoch": []}])
def test_rows_that_no_run_writes_are_no_progress(
    row: dict[str, Any], config: Path, tmp_path: Path
) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    assert progress_of(tmp_path, config).words == ""
