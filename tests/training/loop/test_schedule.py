"""Schedules: one an experience, lengths filled in, names checked."""

from __future__ import annotations

import pytest
import torch

from cliqa.training.loop.schedule import Schedule
from cliqa.utils.errors import ConfigError


def optimizer(lr: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(schedule: Schedule, sgd: torch.optim.Optimizer, epochs: int) -> list[float]:
    schedule.start(sgd, epochs, 1)
    found = []
    for _ in range(epochs):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        schedule.after_epoch(1.0)
    return found


def test_every_experience_starts_at_the_first_rate() -> None:
    schedule, sgd = Schedule({"type": "StepLR", "step_size": 2, "gamma": 0.1}), optimizer()
    expected = pytest.approx([1.0, 1.0, 0.1, 0.1])
    assert rates(schedule, sgd, 4) == expected
    assert rates(schedule, sgd, 4) == expected


def test_a_missing_length_is_the_experience() -> None:
    schedule, sgd = Schedule({"type": "CosineAnnealingLR"}), optimizer()
    rates(schedule, sgd, 5)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)


def test_a_given_length_is_kept() -> None:
    schedule, sgd = Schedule({"type": "CosineAnnealingLR", "T_max": 10}), optimizer()
    rates(schedule, sgd, 5)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.5)


def test_iterations_count_where_asked() -> None:
    schedule = Schedule({"type": "StepLR", "step_size": 1, "gamma": 0.5, "by": "iteration"})
    sgd = optimizer()
    schedule.start(sgd, 1, 3)
    for _ in range(3):
        sgd.step()
        schedule.after_iteration()
    schedule.after_epoch(1.0)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.125)


def test_plateau_watches_the_loss() -> None:
    schedule = Schedule({"type": "ReduceLROnPlateau", "patience": 0, "factor": 0.5})
    sgd = optimizer()
    schedule.start(sgd, 3, 1)
    for loss in (1.0, 0.5, 0.5):
        schedule.after_epoch(loss)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.5)


def test_none_keeps_the_rate() -> None:
    sgd = optimizer(0.3)
    assert rates(Schedule(None), sgd, 3) == [0.3] * 3


def test_parameter_groups_keep_their_ratio() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    sgd = torch.optim.SGD([{"params": weights[:1], "lr": 1.0}, {"params": weights[1:], "lr": 10.0}])
    schedule = Schedule({"type": "StepLR", "step_size": 1})
    for _ in range(2):
        rates(schedule, sgd, 2)
        schedule.start(sgd, 2, 1)
        assert [group["lr"] for group in sgd.param_groups] == [1.0, 10.0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "StepLr", "step_size": 1}, r"scheduler: unknown scheduler 'StepLr'.*'StepLR'"),
        ({"type": "StepLR"}, r"scheduler 'StepLR': missing argument 'step_size'"),
        ({"type": "StepLR", "step_size": 1, "gama": 1}, r"unexpected argument 'gama'.*'gamma'"),
    ],
)
def test_check_names_the_mistake(config: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule(config).check()


def test_unknown_by_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"scheduler\.by: expected 'epoch' or 'iteration'"):
        Schedule({"type": "StepLR", "step_size": 1, "by": "batch"})


def test_a_schedule_that_would_rise_is_refused_when_it_starts() -> None:
    schedule = Schedule({"type": "CosineAnnealingLR", "eta_min": 0.2})
    schedule.start(optimizer(0.2), 3, 1)
    with pytest.raises(ConfigError, match=r"eta_min=0\.2 is above the learning rate 0\.1 .*'0'"):
        schedule.start(optimizer(0.1), 3, 1)


def test_a_value_that_the_scheduler_refuses_is_found_by_the_check() -> None:
    with pytest.raises(ConfigError, match=r"scheduler 'OneCycleLR': Expected float between 0 and"):
        Schedule({"type": "OneCycleLR", "max_lr": 1.0, "pct_start": 2.0}).check()
