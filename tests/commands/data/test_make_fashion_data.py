"""The generator's command line."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliqa.commands.data.make_fashion_data import main
from cliqa.datasets.classes.fashion_mnist import read_fashion_mnist
from cliqa.utils.cli import run_entry_point

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str | int | Path) -> int:
    return run_entry_point(lambda: main([str(argument) for argument in arguments]))


def test_the_command_shown_names_what_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my fashion"
    assert run("--out", out, "--train", 20, "--test", 10, "--seed", 3) == 0
    shown = capsys.readouterr().out
    assert f"{out}: 20 training and 10 test images, handwritten digits, of 10 classes." in shown
    words = shlex.split(shown.partition("Train with\n")[2])
    assert words[:4] == ["cliqa", "train", "cliqa::fmnist_replay.py", "--cfg-options"]
    key, _, root = words[4].partition("=")
    assert key == "scenario.dataset_root"
    assert [len(part) for part in read_fashion_mnist(root)] == [20, 10]


def test_a_sprite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (840, 840), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "sprite.png")
    assert run("--out", tmp_path / "out", "--sprite", tmp_path / "sprite.png") == 0
    assert (
        "600 training and 300 test images, from the sprite, of 10 classes."
        in capsys.readouterr().out
    )
    assert [len(part) for part in read_fashion_mnist(tmp_path / "out")] == [600, 300]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "3"], "train must be a whole number >= 10"),
        (["--sprite", "none.png"], "sprite: none.png cannot be read"),
        (["--sprite", "none.png", "--test", "20"], "test=20 does not go with a sprite"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--out", tmp_path / "out", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert run("--out", tmp_path) == 2
    assert "is not empty and was not written by this generator" in capsys.readouterr().err


def test_help_does_without_torch() -> None:
    code = (
        "import sys, contextlib\n"
        "from cliqa.commands.data.make_fashion_data import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--sprite" in done.stdout
