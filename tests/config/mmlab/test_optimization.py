"""Tests of cliqa.config.mmlab.optimization."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.mmlab.optimization import optim_wrapper, param_scheduler

WARM = {"type": "LinearLR", "start_factor": 1e-3, "by_epoch": True, "end": 20}
COSINE = {"type": "CosineAnnealingLR", "eta_min": 1e-5, "by_epoch": True, "begin": 20}


def test_an_optimizer_with_all_its_options() -> None:
    found = optim_wrapper(
        {
            "type": "AmpOptimWrapper",
            "dtype": "bfloat16",
            "optimizer": {"type": "Lamb", "lr": 0.005},
            "clip_grad": {"max_norm": 5.0},
            "accumulative_counts": 2,
        }
    )
    assert found.settings == {
        "cl_strategy.optimizer": {"type": "mmpretrain.engine.optimizers.lamb.Lamb", "lr": 0.005},
        "cl_strategy.accumulate": 2,
        "cl_strategy.clip_grad_norm": 5.0,
        "amp": "bfloat16",
    }
    assert found.lost == []


@pytest.mark.parametrize(
    ("wrapper", "lost"),
    [
        ({"type": "DeepSpeedOptimWrapper"}, "type='DeepSpeedOptimWrapper' has no counterpart"),
        ({"clip_grad": {"max_norm": 1, "norm_type": 1}}, "Euclidean norm alone"),
        ({"paramwise_cfg": {}}, "becomes rules of cl_strategy.optimizer"),
        ({"hurry": 1}, "optim_wrapper.hurry has no counterpart"),
    ],
)
def test_what_is_lost_is_said(wrapper: dict[str, Any], lost: str) -> None:
    assert lost in " ".join(optim_wrapper(wrapper).lost)


def test_a_warm_up_and_a_cosine_are_one_schedule() -> None:
    found = param_scheduler([WARM, COSINE], rate=1e-3)
    assert found.settings["cl_strategy.scheduler"] == {
        "type": "CosineLR",
        "by": "iteration",
        "warmup_epochs": 20,
        "end_ratio": 0.01,
    }
    assert found.lost == []


def test_a_cosine_alone_steps_by_epoch() -> None:
    found = param_scheduler({"type": "CosineAnnealingLR", "T_max": 200})
    assert found.settings["cl_strategy.scheduler"] == {
        "type": "CosineLR", "by": "epoch", "end_ratio": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schedule", "lost"),
    [
        ([{**WARM, "by_epoch": False}, COSINE], "a warm-up of 20 iterations is left out"),
        ([WARM, {"type": "MultiStepLR", "milestones": [3]}], "warm-up before MultiStepLR is left"),
        ([{"type": "StepLR", "step_size": 9, "by_epoch": False}], "counts epochs here"),
        ([WARM], "a warm-up without another"),
        ([COSINE, COSINE], "CosineAnnealingLR beside another one"),
        ([{"type": "OneCycleLR"}], "OneCycleLR beside another one has no"),
        ([COSINE], "end_ratio, a share of the first rate"),
    ],
)
def test_schedules_that_lose_something(schedule: list[dict[str, Any]], lost: str) -> None:
    assert lost in " ".join(param_scheduler(schedule).lost)


def test_single_options_of_a_command_line() -> None:
    assert optim_wrapper({"optimizer": {"lr": 0.1}}).settings == {"cl_strategy.optimizer.lr": 0.1}
    found = param_scheduler({"0": {"gamma": 0.1}})
    assert (found.settings, found.lost) == ({"cl_strategy.scheduler.gamma": 0.1}, [])
    assert "cl_strategy.scheduler=dict(type=...)" in param_scheduler({"end": 5}).lost[0]
