"""The runs of two configs over numbers of training images."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config
from cliqa.studies.study import plan_label_study
from cliqa.utils.errors import ConfigError


@pytest.fixture
def configs(tiny_config: dict[str, Any], tmp_path: Path) -> list[Path]:
    """Return two config files that differ by their start."""
    files = [tmp_path / f"{name}.py" for name in ("plain", "tuned")]
    for file, rate in zip(files, (1e-3, 1e-2), strict=True):
        config = copy.deepcopy(tiny_config)
        config["cl_strategy"]["optimizer"]["lr"] = rate
        dump_config(config, file)
    return files


def test_every_number_of_images_is_a_study_of_both_configs(
    configs: list[Path], tmp_path: Path
) -> None:
    plans = plan_label_study(
        configs[0], configs[1], [8, 4], [0, 1], tmp_path / "out", ["cl_strategy.train_epochs=1"]
    )
    assert list(plans) == [4, 8]
    for count, plan in plans.items():
        assert plan.names == ("plain", "tuned")
        assert (plan.naive, plan.joint) == (None, None)
        assert [run.config["seed"] for run in plan.runs] == [0, 0, 1, 1]
        for run in plan.runs:
            assert run.config["scenario"]["max_train"] == count
            assert run.config["scenario"]["max_train_seed"] == run.config["seed"]
            assert run.config["cl_strategy"]["train_epochs"] == 1
            assert run.folder.is_relative_to(tmp_path / "out" / f"{count}_images")


@pytest.mark.parametrize("images", [[], [0, 5], [5, 5]])
def test_impossible_numbers_are_refused(
    images: list[int], configs: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--images .*numbers >= 1, each once"):
        plan_label_study(configs[0], configs[1], images, [0], tmp_path)
