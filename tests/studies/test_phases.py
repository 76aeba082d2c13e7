"""The arms of the comparison of four phases, and the plan of its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.studies.phases import ARMS, plan_phases
from cliqa.studies.plan import Plan
from cliqa.utils.errors import ConfigError


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    out = tmp_path_factory.mktemp("phases")
    return plan_phases([3, 5], out, epochs=10, data="some where")


def test_every_arm_has_a_run_for_every_seed(plan: Plan) -> None:
    assert plan.replicates == ["seed 3", "seed 5"]
    # seed by seed: a study that is stopped early compares all arms
    half = len(plan.runs) // 2
    assert [str(run.replicate) for run in plan.runs] == ["seed 3"] * half + ["seed 5"] * half
    assert {run.name for run in plan.runs} == {arm.config for arm in ARMS}
    assert len({run.folder for run in plan.runs}) == len(plan.runs)


def test_arms_differ_in_their_method_alone(plan: Plan) -> None:
    configs = {run.name: run.config for run in plan.runs}
    for name, config in configs.items():
        backbone, strategy = config["model"]["backbone"], config["cl_strategy"]
        assert backbone["type"] == "SmallConvNet"
        assert "channels" not in backbone  # the default ones in all
        assert (strategy["train_epochs"], strategy["train_mb_size"]) == (10, 32)
        assert strategy["optimizer"] == configs["fmnist_naive"]["cl_strategy"]["optimizer"]
        assert config["scenario"] == configs["fmnist_naive"]["scenario"]
        assert config["scenario"]["dataset_root"] == "some where"
        assert config["scenario"]["n_experiences"] == 5
        assert config["deploy"]["backends"] == ["onnxruntime"]
        if name != "fmnist_naive":
            assert (strategy["mem_size"], strategy["batch_size_mem"]) == (200, 16)


@pytest.mark.parametrize(("epochs", "recovery"), [(15, 5), (10, 3), (1, 0)])
def test_the_pruned_network_recovers_for_a_third_of_the_epochs(
    epochs: int, recovery: int, tmp_path: Path
) -> None:
    runs = plan_phases([0], tmp_path, epochs=epochs).runs
    stack = next(run for run in runs if run.name == "fmnist_stack")
    kinds = {part["type"]: part for part in stack.config["cl_strategy"]["plugins"]}
    assert set(kinds) == {"LoRA", "ChannelPruning", "QAT"}
    assert kinds["ChannelPruning"]["recover_epochs"] == recovery


def test_options_of_the_user_win(tmp_path: Path) -> None:
    runs = plan_phases([0], tmp_path, epochs=2, options=["deploy.images=32"]).runs
    assert {run.config["deploy"]["images"] for run in runs} == {32}


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--epochs 0: must be at least 1"):
        plan_phases([0], tmp_path, epochs=0)
    with pytest.raises(ConfigError, match=r"--seeds: 4 is given twice"):
        plan_phases([4, 4], tmp_path, epochs=1)
