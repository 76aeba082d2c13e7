"""All figures of a work_dir."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliqa.evaluation.classification import class_metrics
from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.predictions import (
    ClassPredictions,
    load_class_predictions,
    prediction_path,
    save_predictions,
)
from cliqa.utils.errors import ArtifactError
from cliqa.utils.io import write_json
from cliqa.visualization import run
from cliqa.visualization.run import draw_run

MakeRun = Callable[..., Any]


def make_class_run(
    work_dir: Path, *, ahead_only: bool = False, diverged: Sequence[tuple[int, str]] = ()
) -> None:
    """Write a work_dir of two experiences of two classes each; cells in `diverged` are NaN."""
    names = ["0+1", "2+3"]
    rows: list[dict[str, Any]] = []
    for t in range(1 if ahead_only else 2):
        for k, name in enumerate(names):
            if ahead_only and k <= t:
                continue
            random = np.random.default_rng(10 * t + k)
            target = random.integers(2 * k, 2 * k + 2, 20)
            logits = random.normal(size=(20, 4)) + 2 * np.eye(4)[target]
            if (t, name) in diverged:
                logits[:] = np.nan
            image, classes = np.array([f"{i}.png" for i in range(20)]), np.array(list("abcd"))
            stored = ClassPredictions(logits, target, image, classes)
            save_predictions(work_dir, t, {name: stored}, add=True)
            row = class_metrics(logits, target).to_row(task_il=False)
            rows.append({"experience": t, "dataset": name, **row})
    facts = {"status": "finished", "seed": 0, "config": "config/fmnist_replay.py"}
    results = build_results(
        rows,
        experiences=names,
        datasets=names,
        ahead_only="later ones alone" if ahead_only else None,
        **facts,  # type: ignore[arg-type]
    )
    write_json(work_dir / "results.json", results)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[ClassPredictions], str]]:
    """Return a list that gets what every confusion matrix is drawn from."""
    calls: list[tuple[list[ClassPredictions], str]] = []
    draw = run.draw_confusion

    def record(predictions: list[ClassPredictions], label: str) -> Any:
        calls.append((predictions, label))
        return draw(predictions, label)

    monkeypatch.setattr(run, "draw_confusion", record)
    return calls


def test_draws_all_figures_of_a_run(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path)
    files = draw_run(tmp_path, dpi=40)
    names = ["score_matrix.png", "scores.png", "history.png", "scatter.png"]
    assert files == [tmp_path / "figures" / name for name in names]
    for file in files:
        with Image.open(file) as image:
            assert image.width > 100
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 20
    assert {path.name for path in (tmp_path / "figures").iterdir()} == set(names)


def test_joint_run_has_no_curves_over_experiences(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path, joint=True)
    files = draw_run(tmp_path, tmp_path / "out", file_format="pdf", dpi=40)
    assert [file.name for file in files] == ["score_matrix.pdf", "history.pdf", "scatter.pdf"]
    assert files[0].parent == tmp_path / "out"
    assert files[0].read_bytes().startswith(b"%PDF")


def test_draws_what_there_is(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path, ["eva", "ava"])
    (tmp_path / "metrics.jsonl").unlink()
    prediction_path(tmp_path, 1).unlink()
    assert [file.stem for file in draw_run(tmp_path, dpi=40)] == ["score_matrix", "scores"]


def test_a_run_of_classes_has_a_confusion_matrix_of_its_last_model(
    tmp_path: Path, drawn: list[tuple[list[ClassPredictions], str]]
) -> None:
    make_class_run(tmp_path)
    files = draw_run(tmp_path, dpi=40)
    assert [file.stem for file in files] == ["score_matrix", "scores", "confusion"]
    assert all(file.stat().st_size > 2000 for file in files)
    ((predictions, label),) = drawn
    assert label == "after 2+3"
    expected = [load_class_predictions(tmp_path, 1, name) for name in ("0+1", "2+3")]
    for found, stored in zip(predictions, expected, strict=True):
        np.testing.assert_array_equal(found.logits, stored.logits)


def test_a_model_tested_ahead_has_a_confusion_matrix_of_what_lies_ahead(
    tmp_path: Path, drawn: list[tuple[list[ClassPredictions], str]]
) -> None:
    make_class_run(tmp_path, ahead_only=True)
    assert [file.stem for file in draw_run(tmp_path, dpi=40)] == ["score_matrix", "confusion"]
    ((predictions, label),) = drawn
    assert (len(predictions), label) == (1, "after 0+1")
    assert set(predictions[0].target) == {2, 3}


def test_logits_that_are_no_numbers_are_left_out(
    tmp_path: Path, drawn: list[tuple[list[ClassPredictions], str]]
) -> None:
    make_class_run(tmp_path / "one", diverged=[(1, "0+1")])
    draw_run(tmp_path / "one", dpi=40)
    assert [set(part.target) for part in drawn[0][0]] == [{2, 3}]
    make_class_run(tmp_path / "all", diverged=[(1, "0+1"), (1, "2+3")])
    files = draw_run(tmp_path / "all", dpi=40)
    assert [file.stem for file in files] == ["score_matrix", "scores"]
    assert len(drawn) == 1


def test_damaged_logits_are_named(tmp_path: Path) -> None:
    make_class_run(tmp_path)
    prediction_path(tmp_path, 1).write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"after_1\.npz: damaged"):
        draw_run(tmp_path)


def test_damaged_files_are_named(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(ArtifactError, match=r"results\.json: missing"):
        draw_run(tmp_path)
    make_run(tmp_path, ["eva"])
    metrics = tmp_path / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text(whole + '{"kind": "ep\n')
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl, line 5: damaged"):
        draw_run(tmp_path)
    metrics.write_text("[1, 2]\n")
    with pytest.raises(ArtifactError, match=r"line 1: expected an object, got \[1, 2\]"):
        draw_run(tmp_path)
    metrics.write_text(whole)
    prediction_path(tmp_path, 0).write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"after_0\.npz: damaged"):
        draw_run(tmp_path)
    assert not (tmp_path / "figures").exists()
