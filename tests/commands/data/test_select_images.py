"""``tools/select_images.py`` as a user calls it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cliqa.commands.data.select_images import main
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration


def test_images_are_chosen_and_written(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "chosen.csv"
    given = [str(tiny_run), str(tiny_data / "a"), "--count", "4", "--device", "cpu"]
    assert run_entry_point(lambda: main([*given, "--out", str(out)])) == 0
    with out.open() as file:
        chosen = [row["image"] for row in csv.DictReader(file)]
    assert len({Path(name) for name in chosen}) == 4
    assert all(Path(name).is_file() for name in chosen)
    capfd.readouterr()
    more = [*given, "--by", "uncertainty", "--labelled", *chosen]
    assert run_entry_point(lambda: main(more)) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "image"
    assert not set(lines[1:]) & set(chosen)
    assert run_entry_point(lambda: main([*given, "--count", "0"])) == 2
    assert "--count" in capfd.readouterr().err
