"""The forecast of a plan: hours, memory, disk, and what the limit is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.config.load import dump_config
from cliqa.engine.loggers.forecast import StepWork
from cliqa.engine.trial.timing import Timings
from cliqa.studies.bracket import Bracket
from cliqa.studies.forecast import report
from cliqa.studies.forecast.cost import Measured
from cliqa.studies.forecast.report import Machines, forecast_study
from cliqa.studies.plan import Plan, plan_study
from cliqa.utils.errors import ConfigError

CPU = torch.device("cpu")
TIMES = Timings(10, 3.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, memory=10**9, state=10**8)
MEASURED = Measured(TIMES, (StepWork(10, 1000, 0, 0),), 0, 0, "disk", 3 * 10**9, 5, start=0.0)


@pytest.fixture
def plan(tiny_config: dict[str, Any], tmp_path: Path) -> Plan:
    """Return a plan of one config with three seeds."""
    dump_config(tiny_config, tmp_path / "tiny.py")
    bracket = Bracket(None, None, look=False)
    return plan_study([tmp_path / "tiny.py"], [0, 1, 2], tmp_path / "out", bracket=bracket)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "available_memory", lambda: 2_500_000_000)


def forecast(plan: Plan, machines: Machines, measured: Measured = MEASURED) -> report.StudyForecast:
    return forecast_study(plan, machines, CPU, lambda *_: measured)


def test_a_study_of_three_runs_of_an_hour(plan: Plan) -> None:
    found = forecast(plan, Machines())
    assert found.table.rows == (
        ("tiny", "3", "1000", "3.6000", "0.0000", "0.0000", "1.000", "3.000", "step"),
    )
    assert found.seconds == pytest.approx(3 * 3600)
    assert found.lines[0].startswith("3 of 3 runs are left: about 3 h (3.00 hours) on 1 job (3.00")
    assert found.lines[1] == "memory: 1.0 GB a run (tiny) x 1 = 1.0 GB of the 2.5 GB that is free"
    assert found.lines[2].startswith("disk: 1.5 GB of checkpoints and 3.0 GB of decoded images of")
    assert found.lines[3] == "time: steps 100 %"
    assert "X = 1" in found.lines[5]
    assert not plan.out.exists()


def test_other_machines_are_calculated(plan: Plan) -> None:
    found = forecast(plan, Machines(jobs=2, count=2, speedup=4))
    assert found.seconds == pytest.approx(900)
    assert "15 min (0.25 hours) on 2 jobs on each of 2 machines (0.75 hours one" in found.lines[0]
    assert "X = 4, as you gave it: not measured" in found.lines[5]


def test_too_many_jobs_and_too_small_a_disk_are_told(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "free_space", lambda _: 10**9)
    found = forecast(plan, Machines(jobs=3))
    assert found.lines[1].endswith("3.0 GB, more than the 2.5 GB that is free. Take --jobs 2.")
    assert found.lines[2].endswith("more than the 1.0 GB that are free. Choose another --out.")


def test_missing_data_are_told(plan: Plan) -> None:
    found = forecast(plan, Machines(), replace(MEASURED, real=False))
    assert found.lines[-1].startswith("data are missing (tiny): official sizes, and steps timed on")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": 0}, "--machines 0: must be at least 1"),
        ({"speedup": 0.0}, "--speedup 0: must be above 0"),
        ({"speedup": float("nan")}, "--speedup nan: must be above 0"),
    ],
)
def test_machines_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Machines(**wrong)
