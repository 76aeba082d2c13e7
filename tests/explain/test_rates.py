"""Tests of cliqa.explain.rates."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.config.load import load_config
from cliqa.explain.rates import Rates, draw_rates, learning_rates
from cliqa.utils.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"


def config(*options: str, name: str = "demo_naive") -> dict[str, Any]:
    """Return a config of two epochs in batches of 10."""
    usual = ["cl_strategy.train_epochs=2", "cl_strategy.train_mb_size=10"]
    return load_config(CONFIG / f"{name}.py", [*usual, *options])


def test_a_cosine_starts_again_with_every_experience() -> None:
    schedule = "cl_strategy.scheduler=dict(type='CosineLR', by='iteration', end_ratio=0.1)"
    found = learning_rates(config(schedule, "cl_strategy.optimizer.lr=0.5"), [100, 42])
    assert found.starts == [0, 20]
    assert len(found.values) == 2 * (10 + 5)  # 42 samples are five batches
    expected = [0.5 * (0.1 + 0.9 * (1 + math.cos(math.pi * t / 20)) / 2) for t in range(20)]
    np.testing.assert_allclose(found.values[:20, 0], expected, rtol=1e-12)
    assert found.values[20, 0] == 0.5


def test_groups_and_epochs_have_their_rates() -> None:
    found = learning_rates(
        config(
            "cl_strategy.optimizer.paramwise=[dict(match='head', lr_mult=10)]",
            "cl_strategy.scheduler=dict(type='StepLR', step_size=1, gamma=0.5)",
            "cl_strategy.optimizer.lr=0.1",
            "cl_strategy.accumulate=2",
        ),
        [40],
    )
    assert found.names == ["rest", "head"]
    np.testing.assert_allclose(found.values, [[0.1, 1], [0.1, 1], [0.05, 0.5], [0.05, 0.5]])


def test_joint_training_is_one_experience() -> None:
    found = learning_rates(config("cl_strategy.scheduler=None", name="demo_joint"), [100, 100])
    assert found.starts == [0]
    assert len(found.values) == 2 * 20
    assert len(draw_rates(found).axes) == 1


@pytest.mark.parametrize(
    ("options", "samples", "message"),
    [
        (("cl_strategy.scheduler=dict(type='ReduceLROnPlateau')",), [9], "depend on the training"),
        (("cl_strategy.train_epochs=9999",), [9**6], "more than the 2,000,000"),
    ],
)
def test_refused(options: tuple[str, ...], samples: list[int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        learning_rates(config(*options), samples)


def test_a_pretraining_has_a_schedule_of_its_own() -> None:
    with pytest.raises(ConfigError, match="half a cosine"):
        learning_rates(load_config(CONFIG / "qualiclip_demo.py"), [9])


def test_a_figure_names_experiences_and_merges_equal_curves() -> None:
    values = np.repeat(np.linspace(1, 0.1, 10)[:, None], 3, axis=1)
    values[:, 2] *= 2
    figure = draw_rates(Rates(["rest", "a", "b"], values, ["koniq", "spaq"], [0, 5], 5))
    lines = [line for line in figure.axes[0].get_lines() if line.get_drawstyle() == "steps-post"]
    assert [line.get_label() for line in lines] == ["rest, a", "b"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["koniq", "spaq"]
    assert len(lines[0].get_xdata()) == 2  # type: ignore[arg-type]  # a straight line


def test_chunks_of_an_online_stream_are_not_drawn(tiny_config: dict[str, Any]) -> None:
    tiny_config["scenario"]["online"] = {"chunk_size": 8}
    with pytest.raises(ConfigError, match=r"scenario\.online: a scheduler spans the chunks"):
        learning_rates(tiny_config)
