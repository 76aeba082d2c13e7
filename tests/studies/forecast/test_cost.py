"""From a step to a study: against sums by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cliqa.engine.loggers.forecast import StepWork
from cliqa.engine.trial.timing import Timings
from cliqa.studies.forecast.cost import Measured, RunCost, run_cost, study_seconds

TIMES = Timings(
    batch=10,
    step=0.2,
    first_load=0.5,
    load=0.1,
    fixed=3.0,
    each=0.01,
    predict=0.04,
    read=0.01,
    memory=10**9,
    state=10**7,
)
WORK = (StepWork(4, 95, 20, 50), StepWork(4, 40, 0, 80))
MEASURED = Measured(TIMES, WORK, 0, 2, "ram", 10**8, 4, start=7.0)


def test_a_run_without_workers_reads_between_its_steps() -> None:
    cost = run_cost(MEASURED)
    assert cost.steps == 4 * (10 + 4)
    assert cost.training == pytest.approx(56 * 0.2)
    assert cost.loading == pytest.approx(14 * (0.5 + 3 * 0.1))
    assert cost.method == pytest.approx(2 * 3.0 + 0.01 * 135)
    assert cost.evaluation == pytest.approx((2 * 20 + 50 + 80) * 0.04)
    assert cost.seconds == pytest.approx(11.2 + 11.2 + 7.35 + 6.8 + 7)
    assert cost.limit in ("step", "loading")
    assert (MEASURED.memory, MEASURED.disk) == (1_100_000_000, 4 * 10**7)


def test_workers_read_while_it_computes() -> None:
    cost = run_cost(replace(MEASURED, workers=2))
    assert cost.loading == pytest.approx(14 * (0.5 / 2 - 0.2))  # 0.1 / 2 is hidden by a step
    assert cost.evaluation == pytest.approx(170 * 0.03)


def test_images_that_are_kept_nowhere_are_read_again() -> None:
    cost = run_cost(replace(MEASURED, kept=None, kept_bytes=0))
    assert cost.loading == pytest.approx(56 * 0.5)
    assert cost.limit == "loading"


def test_a_faster_device_waits_for_the_same_images() -> None:
    slow, fast = (run_cost(replace(MEASURED, workers=2), speedup) for speedup in (1.0, 10.0))
    assert fast.training == pytest.approx(slow.training / 10)
    assert fast.method == pytest.approx(slow.method / 10)
    assert fast.loading == pytest.approx(14 * (0.25 - 0.02 + 3 * (0.05 - 0.02)))
    assert fast.evaluation == pytest.approx(170 * 0.005)  # now reading decides
    assert fast.start == slow.start


def test_runs_start_as_soon_as_a_place_is_free() -> None:
    runs = [RunCost(0, 0.0, seconds, 0.0, 0.0, 0.0) for seconds in (5.0, 1.0, 1.0, 4.0)]
    assert study_seconds(runs, 1, 0) == 11
    assert study_seconds(runs, 2, 0) == 6
    assert study_seconds(runs, 9, 0) == 5
    assert study_seconds([], 2, 0) == 0


def test_runs_of_one_gpu_take_turns() -> None:
    runs = [RunCost(0, 3.0, 1.0, 0.0, 0.0, 0.0)] * 4
    assert study_seconds(runs, 4, 1) == 12  # loading alone is hidden
    assert study_seconds(runs, 4, 2) == 6
    assert study_seconds(runs, 4, 4) == 4
