"""``tools/compare_pretraining.py`` as a user calls it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cliqa.commands.studies.compare_pretraining import main
from cliqa.config.load import dump_config
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("forked_runs")
def test_a_study_is_run_written_and_kept(
    tiny_config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    files = [tmp_path / f"{name}.py" for name in ("plain", "tuned")]
    for file, rate in zip(files, (1e-3, 1e-2), strict=True):
        config = copy.deepcopy(tiny_config)
        config["cl_strategy"]["optimizer"]["lr"] = rate
        dump_config(config, file)
    out = tmp_path / "out"
    arguments = [*map(str, files), "--images", "12", "--seeds", "1", "--jobs", "2"]
    arguments += ["--out", str(out), "--device", "cpu"]
    assert run_entry_point(lambda: main(arguments)) == 0
    printed = capsys.readouterr().out
    study = json.loads((out / "label_study.json").read_text())
    results = {
        name: json.loads((out / "12_images" / name / "seed_1" / "results.json").read_text())
        for name in ("plain", "tuned")
    }
    finals = [results[name]["summary"]["msrcc"] for name in ("plain", "tuned")]
    assert study["rows"][0]["difference"]["values"][0] == pytest.approx(finals[1] - finals[0])
    assert "training images" in printed
    for suffix in ("json", "md", "csv", "png"):
        assert (out / f"label_study.{suffix}").stat().st_size > 0
    before = (out / "12_images" / "plain" / "seed_1" / "results.json").stat().st_mtime_ns
    assert run_entry_point(lambda: main(arguments)) == 0  # all runs are kept
    assert (out / "12_images" / "plain" / "seed_1" / "results.json").stat().st_mtime_ns == before


def test_mistakes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_entry_point(lambda: main(["a.py", "b.py", "--jobs", "0"])) == 2
    assert "--jobs 0: must be at least 1" in capsys.readouterr().err
    assert run_entry_point(lambda: main(["a.py", "b.py", "--seeds", "-1"])) == 2
    assert "a seed is an integer >= 0" in capsys.readouterr().err
