"""A study one of whose configs cannot run says so before the first run of any."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config
from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import Plan, plan_study
from cliqa.studies.plan_check import check_plan, check_waiting_data
from cliqa.studies.study import run_study
from cliqa.utils.errors import DatasetError

SCRIPT = """
from pathlib import Path
(Path(__file__).parent / "begun").touch()
"""


@pytest.fixture
def plan(tiny_config: dict[str, Any], tmp_path: Path) -> Plan:
    """Return a plan of three configs, two of which look for the same data where none are."""
    files = [tmp_path / f"{name}.py" for name in ("good", "bad", "worse")]
    for file in files:
        config = copy.deepcopy(tiny_config)
        if file.stem != "good":
            config["scenario"]["dataset_root"] = str(tmp_path / "nowhere")
            config["cl_strategy"]["train_epochs"] = len(file.stem)
        dump_config(config, file)
    return plan_study(files, [0, 1], tmp_path / "out", bracket=Bracket(look=False))


def test_missing_data_are_told_with_the_configs_before_the_first_run(
    plan: Plan, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    with pytest.raises(DatasetError) as error:
        run_study(plan, [script])
    lines = str(error.value).splitlines()
    start = f"{tmp_path / 'bad.py'}, {tmp_path / 'worse.py'}: "
    assert lines
    assert all(line.startswith(start) and str(tmp_path / "nowhere") in line for line in lines)
    assert len(set(lines)) == len(lines)
    assert not (tmp_path / "begun").exists()
    assert not (tmp_path / "out").exists()


def test_configs_with_their_data_pass(plan: Plan) -> None:
    check_waiting_data(run for run in plan.runs if run.name == "good")
    with pytest.raises(DatasetError, match=r"worse\.py: "):
        check_plan(plan)
