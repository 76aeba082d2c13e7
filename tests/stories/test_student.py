"""A student with photographs and scores of her own: one line from a csv to predictions."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.forks import run_script

pytestmark = [pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("model.pretrained=False", "cl_strategy.train_epochs=1", "evaluation.bootstrap=100")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a fresh folder with her photographs and scores, as a rating tool exports them."""
    (tmp_path / "photos").mkdir()
    rows = ["Filename;DMOS;SD;Session"]
    for k in range(20):
        noise = np.random.default_rng(k).integers(0, 10 * k + 12, (48, 64, 3))
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / f"photos/p{k:02}.png")
        rows.append(f"p{k:02}.png;{12 + 3.3 * k:.1f};1.5;{'AB'[k % 2]}")
    (tmp_path / "my.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def run(folder: Path, script: str, *arguments: object, status: int = 0) -> str:
    """Run one of README's commands in her folder; return what it says.

    What is refused is so in a process of its own, which has not imported anything.
    """
    if status == 0:
        done = run_script(ROOT / script, *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stderr + done.stdout
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == status, done.stderr
    return done.stderr + done.stdout


@pytest.mark.slow
def test_from_a_csv_to_predictions(folder: Path) -> None:
    config = ROOT / "config/my_data.py"
    told = run(folder, "train_config.py", config, "--data", "my.csv", "--cfg-options", *SMALL)
    assert told.splitlines()[:5] == [
        "my.csv: columns (parted by ';'): image = 'Filename', score = 'DMOS', std = 'SD'; not "
        "used: 'Session'",
        "my.csv: scores: 12..74.7 on the scale 0..100 (guessed), lower is better (by the name "
        "'DMOS')",
        f"my.csv: images: 20 in {folder / 'photos'}",
        "my.csv: splits: train 16, val 2, test 2 (drawn with the seed 0)",
        "my.csv: checks: repeated rows 0, copies of another image 0, unreadable images 0",
    ]
    assert "forgetting" not in told
    assert "mSRCC" in told
    results = json.loads((folder / "work_dirs/my_data/results.json").read_text())
    assert (results["status"], results["datasets"]) == ("finished", ["my"])
    run(folder, "tools/predict.py", "work_dirs/my_data", "photos", "--out", "scores.csv")
    with (folder / "scores.csv").open() as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) == 20
    assert max(scores) > 1  # on her own scale


def test_all_that_is_wrong_is_told_at_once_and_soon(folder: Path) -> None:
    text = (folder / "my.csv").read_text().replace("DMOS", "Value").replace("p03.png", "p99.png")
    (folder / "my.csv").write_text(text)
    before = os.times().children_user
    told = run(folder, "train_config.py", ROOT / "config/my_data.py", "--data", "my.csv", status=2)
    assert os.times().children_user - before < 3  # nothing heavy is imported
    wanted = ["is a higher 'Value' better", "1 of 20 images"]
    assert all(text in told for text in wanted), told
    assert "--cfg-options scenario.datasets.0.higher_is_better=True" in told
    assert not (folder / "work_dirs").exists()


def test_what_is_open_is_answered_by_the_option_that_was_named(folder: Path) -> None:
    text = (folder / "my.csv").read_text()
    (folder / "my.csv").write_text(text.replace("SD", "MOS"))
    script, config = "train_config.py", ROOT / "config/my_data.py"
    told = run(folder, script, config, "--data", "my.csv", status=2)
    assert "which column holds the scores: DMOS, MOS?" in told
    assert "scenario.datasets.0.score_column=DMOS" in told
    answer = ("--cfg-options", "scenario.datasets.0.score_column=DMOS")
    short = "scenario.splits=2"  # is refused before training: this test is about the answer alone
    told = run(folder, script, config, "--data", "my.csv", *answer, short, status=2)
    assert "lower is better (by the name 'DMOS')" in told
    assert "which column" not in told
    assert "a run is of one of them" in told
