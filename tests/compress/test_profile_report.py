"""Profiles as tables and files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from torch import nn

from cliqa.compress.profile import Subject
from cliqa.compress.profile_report import parameter_table, profile_table, write_report
from cliqa.deploy.profiling import Profile
from cliqa.utils.errors import ConfigError

MODEL = nn.Sequential(nn.Conv2d(3, 1000, 1), nn.Linear(2, 1))
RUN = Subject("run", MODEL, 3 * 2**20, 3, (8, 8), 4)
ROW = Profile("run", "torch", "cpu", 2, 4, 8, 16, 0.12345, 0.2469, 1.234, 2.345, 1.5, 3241.5, 300.4)


def test_parameters_have_a_line_a_part() -> None:
    rows = parameter_table([RUN]).rows
    assert rows[0] == ("run", "0", "4,000", "4,000", "", "")
    assert rows[2] == ("run", "total", "4,003", "4,003", "0.02", "3.00")
    without = Subject("config", MODEL, None, 3, (8, 8), 1)
    assert parameter_table([without]).rows[2][-1] == "n/a"


def test_a_line_says_what_was_measured() -> None:
    table = profile_table([ROW])
    assert table.title.startswith("One forward pass (cpu, 2 thread(s)); MACs and FLOPs of one")
    said = dict(zip(table.header, table.rows[0], strict=True))
    assert said["H x W"] == "8 x 16"
    assert (said["GMACs"], said["GFLOPs"], said["p95 ms"]) == ("0.1235", "0.2469", "2.35")


def test_files_hold_unrounded_numbers(tmp_path: Path) -> None:
    for suffix in ("json", "csv", "md"):
        write_report(tmp_path / f"p.{suffix}", [RUN], [ROW])
    written = json.loads((tmp_path / "p.json").read_text())
    assert written["rows"] == [ROW.to_row()]
    assert written["models"]["run"]["parameters"]["total"] == {"all": 4003, "trainable": 4003}
    assert written["models"]["run"]["checkpoint_bytes"] == 3 * 2**20
    (line,) = csv.DictReader((tmp_path / "p.csv").open())
    assert float(line["p50_ms"]) == 1.234
    text = (tmp_path / "p.md").read_text()
    assert text.index("**Parameters**") < text.index("**One forward pass")
    with pytest.raises(ConfigError, match=r"p\.txt: the name must end in \.json, \.csv, \.md"):
        write_report(tmp_path / "p.txt", [RUN], [ROW])
