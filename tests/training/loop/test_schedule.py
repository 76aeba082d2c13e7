"""Schedules: one an experience, lengths filled in, names checked; and the cosine schedule."""

from __future__ import annotations

import pytest
import torch

from cliqa.training.loop.schedule import CosineLR, Schedule
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


def two_groups() -> torch.optim.Optimizer:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    return torch.optim.SGD(
        [{"params": weights[:1], "lr": 1.0}, {"params": weights[1:], "lr": 1e-3}], lr=1.0
    )


def group_rates(schedule: Schedule, sgd: torch.optim.Optimizer, epochs: int) -> list[list[float]]:
    schedule.start(sgd, epochs, 4)
    found = []
    for _ in range(epochs):
        found.append([group["lr"] for group in sgd.param_groups])
        sgd.step()
        schedule.after_epoch(1.0)
    return found


def test_it_is_torchs_cosine_to_a_share_of_each_rate() -> None:
    ours = group_rates(Schedule({"type": "CosineLR", "end_ratio": 0.1}), two_groups(), 7)
    for group, first in enumerate((1.0, 1e-3)):
        single = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=first)
        torchs = torch.optim.lr_scheduler.CosineAnnealingLR(single, 7, eta_min=0.1 * first)
        for epoch in range(7):
            assert ours[epoch][group] == pytest.approx(single.param_groups[0]["lr"], rel=1e-9)
            single.step()
            torchs.step()


def test_the_warm_up_grows_linearly_and_counts_epochs_in_iterations_too() -> None:
    config = {"type": "CosineLR", "warmup_epochs": 2, "by": "iteration"}
    schedule, sgd = Schedule(config), two_groups()
    schedule.start(sgd, 5, 4)
    found = []
    for _ in range(20):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        schedule.after_iteration()
    assert found[:9] == pytest.approx([(step + 1) / 9 for step in range(9)])  # 8 steps, then 1
    assert found[8:] == sorted(found[8:], reverse=True)
    assert sgd.param_groups[0]["lr"] == pytest.approx(0.01)
    assert sgd.param_groups[1]["lr"] == pytest.approx(1e-5)


def test_no_rate_of_any_group_rises_without_a_warm_up() -> None:
    found = group_rates(Schedule({"type": "CosineLR"}), two_groups(), 9)
    for earlier, later in zip(found, found[1:], strict=False):
        assert all(b < a for a, b in zip(earlier, later, strict=True))


def test_a_state_is_restored() -> None:
    config = {"type": "CosineLR", "warmup_epochs": 1}
    whole = group_rates(Schedule(config), two_groups(), 6)
    sgd, schedule = two_groups(), Schedule(config)
    schedule.start(sgd, 6, 4)
    for _ in range(3):
        sgd.step()
        schedule.after_epoch(1.0)
    state, groups = schedule.state_dict(), sgd.state_dict()
    other, again = two_groups(), Schedule(config)
    again.start(other, 6, 4)
    again.load_state_dict(state)
    other.load_state_dict(groups)
    for epoch in range(3, 6):
        assert [group["lr"] for group in other.param_groups] == whole[epoch]
        other.step()
        again.after_epoch(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"end_ratio": 1.5}, r"end_ratio must lie in 0\.\.1, got 1\.5"),
        ({"warmup_epochs": -1}, r"warmup_epochs must be >= 0, got -1"),
        ({"warmup_epochs": 5}, r"warmup_epochs=5 takes 5 of 5 steps.*more train_epochs"),
    ],
)
def test_bad_values_are_refused_before_training(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"scheduler 'CosineLR': {message}"):
        Schedule({"type": "CosineLR", **arguments}).check(epochs=5)
    with pytest.raises(ValueError, match=message):
        CosineLR(two_groups(), 5, **arguments)  # type: ignore[arg-type]
