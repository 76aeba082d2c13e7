"""The generator's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.utils.cli import run_entry_point
from tools.make_demo_data import main


def test_it_writes_and_says_how_to_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    arguments = ["--train", "9", "--val", "3", "--test", "3", "--size", "32"]
    assert run_entry_point(lambda: main(["--out", str(out), *arguments])) == 0
    assert {path.name for path in out.iterdir()} >= {"eva", "ava", "koniq"}
    shown = capsys.readouterr().out
    assert f"scenario.dataset_root={out}" in shown
    assert "val_fraction=0.250000000" in shown
    assert 'fractions="(0.600000000,0.200000000,0.200000000)"' in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train", "0"], "train must be a whole number >= 1"),
        (["--photos", "no/such/folder"], "photos: no folder"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    out = tmp_path / "demo"
    assert run_entry_point(lambda: main(["--out", str(out), *arguments])) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()
