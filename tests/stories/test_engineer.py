"""An engineer ships a run: one file that takes pixels, scored at once, without this package."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.forks import run_script

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
BLIND = "import sys; sys.modules.update(dict.fromkeys(['cliqa', 'torch', 'torchvision']))\n"
"""A start without this package and PyTorch."""

ONE_FILE = """
import sys, numpy as np, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1])
for photo in sys.argv[2:]:
    pixels = np.asarray(Image.open(photo).convert("RGB"))[None]
    print(session.run(None, {"pixels": pixels})[0][0])
"""


def shell(folder: Path, *words: str) -> str:
    """Run a command as a user does in a folder; return what it prints."""
    if words[0].endswith(".py"):
        done = run_script(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout
    found = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def scores_in(text: str) -> list[float]:
    """Return the scores of a table."""
    return [float(row["score"]) for row in csv.DictReader(text.splitlines())]


def test_from_a_run_to_a_service(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "work_dirs").mkdir()
    run = tmp_path / "work_dirs" / "demo"
    run.symlink_to(tiny_run)
    photos = tmp_path / "photos"
    photos.mkdir()
    draw = np.random.default_rng(0)
    for k, (height, width) in enumerate([(40, 60), (16, 16), (31, 90), (200, 130)]):
        pixels = draw.integers(0, 200) + draw.integers(0, 56, (height, width, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(photos / f"{k}.png")

    predict, model = str(ROOT / "tools" / "predict.py"), "shipped.onnx"
    export = (str(ROOT / "tools" / "compress.py"), "export", "work_dirs/demo", "--self-contained")
    told = shell(tmp_path, *export, "--scale", "1", "5", "--out", model)
    assert "input: pixels, uint8 (N, H, W, 3), RGB, of any size" in told
    assert "output: score (N,), 1 to 5" in told

    # the file is all that is shipped
    (tmp_path / "service").mkdir()
    files = [str(path) for path in sorted(photos.iterdir())]
    alone = shell(tmp_path / "service", "-c", BLIND + ONE_FILE, f"../{model}", *files)
    shipped = [float(line) for line in alone.split()]
    assert len(set(shipped)) == 4
    assert all(1 <= score <= 5 for score in shipped)

    # the same scores from the tool, which needs no --scale for this file, and from the run
    assert scores_in(shell(tmp_path, predict, model, "photos")) == pytest.approx(shipped, abs=1e-4)
    own = scores_in(shell(tmp_path, predict, "work_dirs/demo", "photos", "--scale", "1", "5"))
    assert shipped == pytest.approx(np.clip(own, 1, 5), abs=4e-3)

    # nothing of this machine is in it
    content = (tmp_path / model).read_bytes()
    for place in (str(tmp_path), str(tiny_run.parent), str(ROOT)):
        assert place.encode() not in content
