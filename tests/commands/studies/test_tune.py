"""``tools/tune.py`` as a user calls it."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.commands.studies.tune import main
from cliqa.config.load import dump_config, load_config
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration
pytest.importorskip("optuna")

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    tiny_config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Call:
    """Return a function that runs the tool in a folder with tiny_l2.py: status, stdout, stderr."""
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(type="L2", strength=10.0, train_epochs=1)
    for section in tiny_config["scenario"]["datasets"]:
        section["fractions"] = (0.5, 0.25, 0.25)
    dump_config(tiny_config, tmp_path / "tiny_l2.py")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with warnings.catch_warnings():  # the entry point sets filters
            status = run_entry_point(lambda: main(["tiny_l2.py", "--device", "cpu", *arguments]))
        return status, *capfd.readouterr()

    return run


def test_mistakes_are_one_line_and_begin_nothing(call: Call, tmp_path: Path) -> None:
    for arguments, message in (
        ([], "nothing to tune: give --search"),
        (["--search", "cl_strategy.strength=5"], "--search cl_strategy.strength=5: is no range."),
        (["--search", "cl_strategy.strenght=uniform(1, 5)"], "strenght"),
        (
            ["--search", "cl_strategy.strength=uniform(1, 5)", "--trials", "0"],
            "--trials 0: must be at least",
        ),
        (["--slurm", "time=3"], "--slurm: belongs to --backend submitit, not to local."),
    ):
        status, _, told = call(*arguments)
        assert status == 2
        assert message in told
        assert "Traceback" not in told
    assert not (tmp_path / "work_dirs").exists()


@pytest.mark.usefixtures("forked_runs")
def test_a_tuning_and_its_continuation(call: Call, tmp_path: Path) -> None:
    arguments = [
        "--search",
        "cl_strategy.strength=log(1e-2, 1e4)",
        "cl_strategy.anchor=[last, all]",
    ]
    status, out, told = call(*arguments, "--trials", "1")
    assert status == 0, told
    status, out, told = call(*arguments, "--trials", "2")
    assert status == 0, told
    folder = tmp_path / "work_dirs" / "tune_tiny_l2"
    record = json.loads((folder / "tune.json").read_text())
    assert [trial["state"] for trial in record["trials"]] == ["finished"] * 2
    best = max(record["trials"], key=lambda trial: float(trial["mean"]))
    options = (f"{key}={value}" for key, value in best["values"].items())
    assert f"best: {' '.join(options)}\n" in out
    found = load_config(folder / "best.py")["cl_strategy"]
    assert found["strength"] == best["values"]["cl_strategy.strength"]
    assert found["anchor"] == best["values"]["cl_strategy.anchor"]
    with (folder / "trials.csv").open() as file:
        assert [int(row["trial"]) for row in csv.DictReader(file)][0] == best["number"]
    results = json.loads((folder / "trial_000" / "seed_0" / "results.json").read_text())
    assert results["status"] == "stopped"
    assert len(results["matrix"]["srcc"]) == 2
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("results.json")}
    assert call(*arguments, "--trials", "2")[1] == out
    assert {path: path.stat().st_mtime_ns for path in written} == written  # none trained again
