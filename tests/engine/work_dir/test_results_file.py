"""The results of a run while it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.work_dir import results_file
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.results_file import ResultsFile
from cliqa.evaluation.records.results import load_results

RESULTS: dict[str, Any] = {
    "status": "running",
    "experiences": ["a"],
    "datasets": ["a"],
    "images": [4],
    "matrix": {"srcc": [[0.5]]},
    "interval": {},
    "summary": {"msrcc": 0.5},
    "seconds": {},
    "memory": {},
    "parameters": {},
    "warnings": [],
}


def test_results_take_a_hundredth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(results_file.time, "monotonic", lambda: now[0])
    own, built = ResultsFile(WorkDir(tmp_path)), list[float]()

    def build() -> dict[str, Any]:
        built.append(now[0])
        now[0] += 1.0
        return {**RESULTS, "seed": len(built)}

    for _ in range(100):
        own.later(build)()
        now[0] += 2.0
    assert built == [0.0, 101.0]
    own.write(build)
    assert load_results(tmp_path)["seed"] == 3
    assert "srcc" in (tmp_path / "matrix.csv").read_text()
