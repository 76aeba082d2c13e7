"""Chosen figures in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.visualization.modes import (
    Target,
    draw_compared,
    draw_evaluated,
    draw_matrices,
    draw_training,
    load_runs,
    run_names,
)

MakeRun = Callable[..., Any]


@pytest.fixture
def runs(tmp_path: Path, make_run: MakeRun) -> list[Path]:
    """Return two work_dirs, with an eval_results.json each."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        make_run(folder, ["eva", "ava"])
        rows = [{"target": i / 9, "prediction": i / 8} for i in range(9)]
        entry = {"metrics": {"srcc": 1.0}, "predictions": rows}
        (folder / "eval_results.json").write_text(json.dumps({"datasets": {"eva": entry}}))
    return folders


def test_files_lie_beside_one_run(runs: list[Path]) -> None:
    target = Target(dpi=30)
    folder = runs[0] / "figures"
    assert draw_training(runs[:1], (), target) == [folder / "training.png"]
    assert draw_evaluated(runs[:1], (), target) == [folder / "evaluation.png"]
    files = draw_evaluated([runs[0] / "eval_results.json"], (), target)
    assert files == [folder / "evaluation.png"]
    names = ["matrix_srcc", "matrix_plcc", "forgetting"]
    assert draw_matrices(runs[:1], (), target) == [folder / f"{name}.png" for name in names]
    assert all((folder / f"{name}.png").stat().st_size > 1000 for name in names)


def test_several_runs_need_a_folder_of_their_own(runs: list[Path], tmp_path: Path) -> None:
    target = Target(tmp_path / "out", "svg", 30)
    assert draw_training(runs, (), target) == [tmp_path / "out" / "training.svg"]
    assert "naive" not in (tmp_path / "out" / "training.svg").read_text()
    draw_training(runs, ["naive", "replay"], target)
    assert "naive" in (tmp_path / "out" / "training.svg").read_text()
    assert [file.name for file in draw_compared(runs, ["x", "y"], target)] == ["comparison.svg"]
    assert ">x<" in (tmp_path / "out" / "comparison.svg").read_text()
    files = draw_compared([run / "eval_results.json" for run in runs], (), target)
    assert files == [tmp_path / "out" / "evaluation_comparison.svg"]


def test_a_joint_run_has_forgotten_nothing(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path, joint=True)
    files = draw_matrices([tmp_path], (), Target(dpi=30))
    assert [file.stem for file in files] == ["matrix_srcc", "matrix_plcc"]


def test_inputs_that_do_not_fit_are_named(runs: list[Path]) -> None:
    target = Target(dpi=30)
    with pytest.raises(ArtifactError, match="a comparison needs two inputs"):
        draw_compared(runs[:1], (), target)
    with pytest.raises(ArtifactError, match=r"give work_dirs alone, or files like eval_results"):
        draw_compared([runs[0], runs[1] / "eval_results.json"], (), target)
    with pytest.raises(ArtifactError, match="a matrix is one run's"):
        draw_matrices(runs, (), target)
    for labels in (["one"], ["same", "same"]):
        with pytest.raises(ConfigError, match=rf"--labels: {len(labels)} for 2 runs"):
            draw_training(runs, labels, target)


def test_runs_get_names_that_differ(tmp_path: Path, make_run: MakeRun) -> None:
    folders = [tmp_path / "x" / "demo", tmp_path / "y" / "demo", tmp_path / "y" / "other"]
    for folder in folders:
        make_run(folder, ["eva"])
    assert list(load_runs(folders)) == ["x/demo", "y/demo", "y/other"]
    assert list(load_runs(folders[1:])) == ["demo", "other"]
    with pytest.raises(ArtifactError, match="the same work_dir is given twice"):
        load_runs([folders[0], folders[0] / ".." / "demo"])
    files = [tmp_path / "x" / "eval_results.json", tmp_path / "y" / "eval_results.json"]
    assert run_names(files) == ["x", "y"]
    files = [tmp_path / "x" / "a.json", tmp_path / "x" / "b.json"]
    assert run_names(files) == ["a.json", "b.json"]


def test_training_of_a_missing_run_names_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing: no such work_dir"):
        draw_training([tmp_path / "nothing"], [], Target(tmp_path))
