"""All figures of a work_dir."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cliqa.evaluation.predictions import prediction_path
from cliqa.utils.errors import ArtifactError
from cliqa.utils.io import write_json
from cliqa.visualization.run import draw_run, draw_runs, load_runs

MakeRun = Callable[..., Any]


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
    for name in ("eva", "ava"):
        prediction_path(tmp_path, 1, name).unlink()
    assert [file.stem for file in draw_run(tmp_path, dpi=40)] == ["score_matrix", "scores"]


def test_classes_have_no_scatter(tmp_path: Path, make_run: MakeRun) -> None:
    results = make_run(tmp_path, ["eva"])
    results["matrix"] = {"accuracy": results["matrix"]["srcc"]}
    results["interval"] = {}
    write_json(tmp_path / "results.json", results)
    assert [file.stem for file in draw_run(tmp_path, dpi=40)] == ["score_matrix", "history"]


def test_damaged_files_are_named(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(ArtifactError, match=r"results\.json: missing"):
        draw_run(tmp_path)
    make_run(tmp_path, ["eva"])
    metrics = tmp_path / "metrics.jsonl"
    whole = metrics.read_text()
    metrics.write_text(whole + '{"kind": "ep')
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl, line 5: damaged"):
        draw_run(tmp_path)
    metrics.write_text("[1, 2]\n")
    with pytest.raises(ArtifactError, match=r"line 1: expected an object, got \[1, 2\]"):
        draw_run(tmp_path)
    metrics.write_text(whole)
    prediction_path(tmp_path, 0, "eva").write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"after_0_on_eva\.npz: damaged"):
        draw_run(tmp_path)
    assert not (tmp_path / "figures").exists()


def test_runs_get_names_that_differ(tmp_path: Path, make_run: MakeRun) -> None:
    folders = [tmp_path / "x" / "demo", tmp_path / "y" / "demo", tmp_path / "y" / "other"]
    for folder in folders:
        make_run(folder, ["eva"])
    assert list(load_runs(folders)) == ["x/demo", "y/demo", "y/other"]
    assert list(load_runs(folders[1:])) == ["demo", "other"]
    with pytest.raises(ArtifactError, match="the same work_dir is given twice"):
        load_runs([folders[0], folders[0] / ".." / "demo"])


def test_compares_runs(tmp_path: Path, make_run: MakeRun) -> None:
    for name in ("a", "b"):
        make_run(tmp_path / name, ["eva"])
    files = draw_runs([tmp_path / "a", tmp_path / "b"], tmp_path / "out", dpi=40)
    assert files == [tmp_path / "out" / "comparison.png"]
    assert files[0].stat().st_size > 2000
