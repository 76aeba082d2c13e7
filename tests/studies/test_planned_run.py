"""A study keeps no finished run over other data than its new ones would learn from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config
from cliqa.deploy.search.options import deploy_options
from cliqa.engine.train import train
from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import Plan, plan_study
from cliqa.studies.plan_check import check_study_data
from cliqa.studies.study import run_study, write_study
from cliqa.utils.errors import CheckpointError
from cliqa.utils.io import write_json

SCRIPT = """
import sys
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--work-dir") + 1])
(Path(__file__).parent / "arguments").write_text(" ".join(sys.argv[1:]))
print("error: not trained here", file=sys.stderr)
sys.exit(2)
"""


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


@pytest.fixture
def plan(
    tiny_config: dict[str, Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Plan:
    """Return the plan of two seeds, the first of which has been trained."""
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["scenario"]["dataset_root"] = str(data)
    dump_config(tiny_config, tmp_path / "x.py")
    plan = plan_study([tmp_path / "x.py"], [0, 1], tmp_path / "out", bracket=Bracket(look=False))
    first = plan.runs[0]
    train(dict(first.config), config_file=first.file, work_dir=first.folder, device="cpu")
    return plan


@pytest.fixture
def change(data: Path) -> Callable[[], str]:
    """Return a function that changes a label, and what there is to say about it."""

    def change() -> str:
        lines = (data / "a" / "scores.csv").read_text().splitlines()
        lines[1] = f"{lines[1].partition(',')[0]},0.99"
        (data / "a" / "scores.csv").write_text("\n".join(lines) + "\n")
        return (
            "x, seed 0 is kept, and its data have changed: a: 1 of 40 labels differ (first: a00.png"
        )

    return change


def test_runs_over_the_same_data_are_kept(plan: Plan, data: Path, tmp_path: Path) -> None:
    assert check_study_data(plan.runs[:1]) == []
    moved = data.rename(tmp_path / "moved")
    options = [f"scenario.dataset_root={moved}"]
    elsewhere = plan_study(
        [tmp_path / "x.py"],
        [0],
        tmp_path / "out",
        bracket=Bracket(look=False),
        options=options,
    )
    assert elsewhere.runs[0].is_finished()
    assert check_study_data(elsewhere.runs) == []


def test_a_study_over_other_labels_is_refused_or_says_so(
    plan: Plan, change: Callable[[], str], tmp_path: Path
) -> None:
    said = change()
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    with pytest.raises(
        CheckpointError, match=r"seed_0: x, seed 0: its data have changed: a: 1 of 40 "
    ):
        run_study(plan, [script])
    assert not (tmp_path / "arguments").exists()
    (failure,) = run_study(plan, [script], allow_changed_data=True)
    assert failure.reason == "not trained here"
    assert "--allow-changed-data" in (tmp_path / "arguments").read_text()
    study, files = write_study(plan)
    assert study["notes"][-1].startswith(said)
    assert study["notes"][-1].endswith("(--allow-changed-data)")
    assert json.loads(files[0].read_text())["notes"] == study["notes"]


def test_without_its_checkpoint_a_run_says_less(plan: Plan, change: Callable[[], str]) -> None:
    change()
    (plan.runs[0].folder / "checkpoints" / "last.pth").unlink()
    with pytest.raises(
        CheckpointError, match=r"its data have changed: a: its labels, its images or its"
    ):
        check_study_data(plan.runs[:1])


def test_data_that_are_not_there_and_older_runs_are_told(
    plan: Plan, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(data / "b")
    assert check_study_data(plan.runs[:1]) == []
    assert "finished runs are kept, and their data cannot be checked: " in caplog.text
    path = plan.runs[0].folder / "results.json"
    results = json.loads(path.read_text())
    del results["data"]
    path.write_text(json.dumps(results))
    assert check_study_data(plan.runs[:1]) == []
    assert "x, seed 0: holds no record of its data: they may have changed" in caplog.text


def test_a_run_whose_search_has_not_ended_is_not_finished(plan: Plan) -> None:
    section = {"target": "latency", "budget": {"max_drop": 0.1}}
    run = replace(plan.runs[0], config={**plan.runs[0].config, "deploy": section})
    assert not run.is_finished()
    words = dict.fromkeys(("target", "chosen_on", "processor", "measure"), "x")
    held: dict[str, object] = {**words, "threads": 1, "best": None, "front": [], "rows": []}
    held |= {"budget": {}, "batch": [1, 3, 8, 8], "options": deploy_options(section).to_dict()}
    (run.folder / "deploy").mkdir()
    write_json(run.folder / "deploy" / "deployments.json", held)
    assert run.is_finished()
    other = replace(run, config={**run.config, "deploy": {"target": "latency"}})
    assert not other.is_finished()  # found within another budget
