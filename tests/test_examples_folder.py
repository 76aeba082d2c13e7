"""The scripts in examples/, run as a user does but for the imports: short, with what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.forks import run_script

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def output_of(name: str, *arguments: str) -> str:
    """Run a script in a folder of its own, and return what it prints."""
    done = run_script(ROOT / "examples" / name, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_says_how_to_run_it(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert f"python examples/{script.name}" in text
    names = {"our_methods", "our_streams", "our_measures", "own_strategy"}
    assert {path.stem for path in SCRIPTS} == names


@pytest.mark.integration
def test_our_methods_in_ones_own_strategy() -> None:
    rows = dict(line.split() for line in output_of("our_methods.py").splitlines())
    assert set(rows) == {"EWC", "LoRA", "PackNet", "Replay", "StreamingRidge"}
    assert min(map(float, rows.values())) > 0.5
    assert float(rows["StreamingRidge"]) > 0.95


@pytest.mark.integration
def test_our_streams_in_a_strategy_of_avalanches() -> None:
    lines = output_of("our_streams.py").splitlines()
    assert [line.split(":")[0] for line in lines] == ["after red", "after green", "after blue"]
    scores = [float(value) for value in re.findall(r"test_stream/\w+': ([\d.-]+)", lines[-1])]
    assert len(scores) == 3
    assert min(scores) > 0.8


@pytest.mark.integration
def test_our_measures_for_ones_own_predictions(tmp_path: Path) -> None:
    output = output_of("our_measures.py", str(tmp_path))
    assert "msrcc" in output.lower()
    figures = {path.stem: path.stat().st_size for path in tmp_path.glob("*.png")}
    assert set(figures) == {"matrix", "forgetting", "scatter"}
    assert min(figures.values()) > 5000


@pytest.mark.integration
def test_ones_own_strategy_from_a_config(tmp_path: Path) -> None:
    output = output_of("own_strategy.py", str(tmp_path))
    assert "average_accuracy" in output
    last = next(line for line in output.splitlines() if line.startswith("after 8+9"))
    assert min(map(float, last.split()[2:])) > 0.5
    assert (tmp_path / "run" / "results.json").is_file()
