"""What all generators share."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cliqa.demo_data.generator import check_numbers, write_once
from cliqa.utils.errors import ConfigError, DatasetError


@dataclass
class Numbers:
    """Arguments of a generator."""

    size: Any


@pytest.mark.parametrize("value", [7, 8.0, True, "9", None])
def test_numbers_out_of_range_are_refused(value: object) -> None:
    check_numbers(Numbers(8), {"size": 8})
    with pytest.raises(
        ConfigError, match=f"Numbers: size must be a whole number >= 8, got {value!r}"
    ):
        check_numbers(Numbers(value), {"size": 8})


def test_a_folder_is_written_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def fill(folder: Path, title: str) -> int:
        calls.append(title)
        (folder / "a.txt").write_text("a")
        return 5

    root = tmp_path / "data"
    with caplog.at_level("INFO"):
        for _ in range(2):
            write_once(root, {"seed": 1}, fill)
    assert calls == [str(root)]
    assert caplog.text.count(f"Wrote 5 generated images to {root}.") == 1
    assert json.loads((root / "demo_data.json").read_text()) == {
        "arguments": {"seed": 1},
        "files": 1,
    }
    with pytest.raises(DatasetError, match="seed=1, now 2"):
        write_once(root, {"seed": 2}, fill)


def test_a_crash_leaves_nothing_behind(tmp_path: Path) -> None:
    def crash(folder: Path, _: str) -> int:
        (folder / "a.txt").write_text("a")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_once(tmp_path / "data", {}, crash)
    assert list(tmp_path.iterdir()) == []
