"""The tool as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cliqa.commands.data.iqa_dataset import main
from cliqa.demo_data.demo_data import DemoData
from cliqa.utils.cli import run_entry_point
from tests.forks import run_script

ROOT = Path(__file__).resolve().parents[3]


def run(*words: str | Path) -> int:
    """Run the tool with a command line."""
    return run_entry_point(lambda: main([str(word) for word in words]))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "demo"
    DemoData(train=6, val=2, test=2, size=32, overlap=3).write(path)
    return path


def test_check_of_a_folder_of_data_sets(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", root, "--images") == 0
    shown = capsys.readouterr().out
    assert f"{root / 'koniq'}: KonIQ10k\n" in shown
    assert "  images     10 of 10073 rated in" in shown
    assert "  splits     train 6, val 2, test 2 (by the files)" in shown
    assert "ava and eva share 3 images" in shown
    assert shown.rstrip().endswith(
        f'        dict(type="KonIQ10k", root="{root / "koniq"}"),\n    ],\n)'
    )


def test_check_tells_a_problem_by_its_status(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next((root / "ava/ava_images").iterdir()).unlink()
    assert run("check", root / "ava", "--json") == 1
    (folder,) = json.loads(capsys.readouterr().out)["folders"]
    assert (folder["kind"], folder["rated"], len(folder["missing"])) == ("AVA", 9, 1)
    assert run("check", root / "nowhere") == 2
    assert "no such folder" in capsys.readouterr().err


def test_check_of_several_folders_skips_files_between_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", *sorted(root.iterdir())) == 0
    shown = capsys.readouterr().out
    assert shown.count("labels") == 3
    assert "degradations" not in shown


def test_an_option_reaches_the_reader(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    koniq = root / "koniq"
    assert run("check", koniq, "--type", "KonIQ10k", "--option", "score=distribution") == 0
    assert " in 1..5, higher is better" in capsys.readouterr().out
    assert run("check", koniq, "--option", "score") == 2
    assert "--option score: expected KEY=VALUE" in capsys.readouterr().err


def test_convert_writes_what_check_reads(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = root / "mine" / "eva.csv"
    out.parent.mkdir()
    assert run("convert", root / "eva", out) == 0
    shown = capsys.readouterr().out
    assert f"{out}: 10 images of EVA" in shown
    assert 'dict(type="ScoreFile"' in shown
    assert "The raters' distributions have no column" in shown
    before = out.read_bytes()
    assert run("convert", root / "eva", out) == 2
    assert "exists already. Give --force" in capsys.readouterr().err
    assert run("convert", root / "eva", out, "--force") == 0
    assert out.read_bytes() == before


def test_convert_spares_the_labels_and_needs_a_data_set(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = root / "koniq/koniq10k_distributions_sets.csv"
    before = labels.read_bytes()
    assert run("convert", root / "koniq", labels, "--force") == 2
    assert "own label file" in capsys.readouterr().err
    assert labels.read_bytes() == before
    assert run("convert", root, root / "x.csv") == 2
    assert "cannot be read" in capsys.readouterr().err
    assert not (root / "x.csv").exists()


@pytest.mark.integration
def test_the_script_runs_from_any_folder(root: Path, tmp_path: Path) -> None:
    words = (ROOT / "tools/iqa_dataset.py", "check", root / "eva")
    done = run_script(*words, cwd=tmp_path, anew=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ": EVA" in done.stdout
