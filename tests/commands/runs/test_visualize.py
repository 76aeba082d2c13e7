"""``tools/visualize.py`` as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cliqa.commands.runs.visualize import main
from cliqa.evaluation.records.build_results import build_results
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.utils.io import write_json, write_jsonl

TOOL = Path(__file__).resolve().parents[3] / "tools" / "visualize.py"


def make_run(work_dir: Path, final: float) -> Path:
    """Write the results of two experiences."""
    scores = [[0.8, 0.3], [final, 0.9]]
    rows = [
        {"experience": t, "dataset": name, "srcc": scores[t][k]}
        for t in range(2)
        for k, name in enumerate(("eva", "ava"))
    ]
    names = ["eva", "ava"]
    results = build_results(
        rows, experiences=names, datasets=names, status="finished", seed=0, config="c.py"
    )
    write_json(work_dir / "results.json", results)
    return work_dir


def test_draws_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, 0.7)
    main([str(tmp_path), "--dpi", "50"])
    files = capsys.readouterr().out.split()
    assert files == [str(tmp_path / "figures" / f"{n}.png") for n in ("score_matrix", "scores")]
    with Image.open(files[0]) as image:
        width = image.width
    main([str(tmp_path), "--dpi", "100", "--out", str(tmp_path / "out")])
    with Image.open(tmp_path / "out" / "score_matrix.png") as image:
        assert image.width == pytest.approx(2 * width, abs=1)


def test_compares_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make_run(tmp_path / name, final)) for name, final in (("a", 0.7), ("b", 0.4))]
    table = str(tmp_path / "t.html")
    main([*runs, "--out", str(tmp_path), "--format", "pdf", "--table", table])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Final SRCC"
    assert printed[-2:] == [str(tmp_path / "comparison.pdf"), table]
    assert "<caption>Final SRCC</caption>" in Path(table).read_text()
    assert any(line.split() == ["b", "0.400", "0.900", "0.650", "0.400"] for line in printed)


def test_mistakes_are_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_entry_point(lambda: main([str(tmp_path / "none")])) == 2
    message = capsys.readouterr().err
    assert "none/results.json: missing" in message
    assert "Traceback" not in message
    for dpi in ("5", "100000"):
        with pytest.raises(ConfigError, match=f"--dpi {dpi}: must lie between 10 and 2400"):
            main([str(tmp_path), "--dpi", dpi])
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--format", "jpg"])


def test_runs_from_any_folder(tmp_path: Path) -> None:
    make_run(tmp_path, 0.7)
    command = [sys.executable, str(TOOL), ".", "--dpi", "40"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["figures/score_matrix.png", "figures/scores.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layer", "x"], "--layer: applies only to --mode attention"),
        (["--mode", "matrix", "--labels", "a"], "--labels: applies only to --mode training, co"),
        (["--mode", "matrix", "--table", "t.md"], "--table: applies only without --mode"),
        (["--table", "t.md"], "--table: compares runs; give two or more"),
        (["--table", "t.png"], r"--table t\.png: the name must end in \.txt, \.md"),
        (["--mode", "attention"], "--mode attention: give --images"),
        (["b", "--mode", "embedding"], "--mode embedding: give one work_dir"),
        (["--mode", "embedding", "--samples", "1"], "--samples 1: must be at least 2"),
        (["--mode", "ranking", "--images", "a", "--levels", "0"], "--levels 0: must be at least 1"),
    ],
)
def test_options_must_mean_something(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main(["a", *arguments])


def test_modes_that_read_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make_run(tmp_path / name, final)) for name, final in (("a", 0.7), ("b", 0.4))]
    main([runs[0], "--mode", "matrix", "--dpi", "40"])
    main([*runs, "--mode", "compare", "--labels", "x", "y", "--out", str(tmp_path)])
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [file.name for file in files] == ["matrix_srcc.png", "forgetting.png", "comparison.png"]
    assert all(file.is_file() for file in files)
    for run in runs:
        epoch = {"kind": "epoch", "experience": 0, "name": "eva", "epoch": 1}
        write_jsonl(Path(run) / "metrics.jsonl", [{**epoch, "loss": 0.5, "val_srcc": 0.1}])
    main([*runs, "--mode", "compare-training", "--labels", "x", "y", "--out", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'training.png'}\n"
    with pytest.raises(ArtifactError, match="two inputs or more"):
        main([runs[0], "--mode", "compare-training"])
    main([*runs, "--labels", "x", "y", "--out", str(tmp_path)])
    assert any(line.split()[:2] == ["y", "0.400"] for line in capsys.readouterr().out.splitlines())


@pytest.mark.integration
def test_modes_that_run_the_model(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = [str(tiny_run), "--out", str(tmp_path), "--dpi", "40", "--device", "cpu", "--mode"]
    image = str(tiny_data / "a" / "a00.png")
    main([*start, "attention", "--images", image])
    main([*start, "ranking", "--images", image, "--distortions", "blur", "--levels", "2"])
    main([*start, "embedding", "--method", "pca", "--samples", "4"])
    files = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [file.stem for file in files] == ["attention", "ranking_1", "embedding_pca"]
    assert all(file.stat().st_size > 1000 for file in files)
    for wrong in (["attention", "--images", image, "--layer", "nose"], ["ranking"]):
        assert run_entry_point(lambda wrong=wrong: main([*start, *wrong])) == 2  # type: ignore[misc]
    told = capsys.readouterr().err
    assert "--layer nose: the model has no such module" in told
    assert "Traceback" not in told
