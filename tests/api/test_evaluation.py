"""Tests of cliqa.api.evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

import cliqa
from cliqa.utils.errors import ConfigError


def test_models_are_measured_on_chosen_data_sets(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    models = [tiny_run, tiny_run / "checkpoints" / "exp_0.pth"]
    other = {
        "type": "ScoreFile",
        "root": str(tiny_data / "b"),
        "labels": "scores.csv",
        "images": ".",
        "name": "other",
        "score_range": (0, 1),
        "higher_is_better": True,
        "fractions": (0.0, 0.0, 1.0),
    }
    found = cliqa.evaluate(models, ["a", other], device="cpu", out=tmp_path)
    assert list(found["model"]) == ["tiny", "tiny", "tiny-exp_0", "tiny-exp_0"]
    assert list(found["dataset"]) == ["a", "other"] * 2
    assert list(found["n"]) == [12, 40] * 2
    trained = cliqa.results(tiny_run).matrix("srcc")
    assert found["srcc"][0] == pytest.approx(trained["a"].iloc[-1])
    assert (found["srcc_low"] <= found["srcc"]).all()
    assert {row["dataset"] for row in found.attrs["comparisons"]} == {"a", "other"}
    assert (tmp_path / "tiny" / "eval_results.json").is_file()


def test_a_file_of_scores_is_a_data_set(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    file = f"{tiny_data / 'a' / 'scores.csv'}={tiny_data / 'a'}"
    found = cliqa.evaluate(
        tiny_run, file, score_range=(0, 1), device="cpu", out=tmp_path / "all.json"
    )
    assert list(found["n"]) == [40]
    assert (tmp_path / "all.json").is_file()


def test_an_unknown_split_is_refused(tiny_run: Path) -> None:
    with pytest.raises(ConfigError, match="Use test, val, train, all"):
        cliqa.evaluate(tiny_run, split="tset")
