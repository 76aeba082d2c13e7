"""``tools/visualize.py`` as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cliqa.evaluation.build_results import build_results
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json
from tools.visualize import main

TOOL = Path(__file__).resolve().parents[2] / "tools" / "visualize.py"


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
    main([*runs, "--out", str(tmp_path), "--format", "pdf"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Final SRCC"
    assert printed[-1] == str(tmp_path / "comparison.pdf")
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
