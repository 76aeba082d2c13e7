"""The times of a config's own strategy, on a few batches with all of its plugins."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.engine.build import build
from cliqa.engine.trial import timing
from cliqa.engine.trial.timing import time_parts

CPU = torch.device("cpu")


@pytest.mark.parametrize("method", ["Replay", "JointTraining", "Cumulative", "EWC"])
def test_every_kind_of_method_is_timed(
    method: str, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "MOST", 3)
    if method != "Replay":
        del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(type=method, **({"strength": 1.0} if method == "EWC" else {}))
    parts = build(tiny_config, CPU)
    plugins, epochs = parts.strategy.plugins, parts.strategy.train_epochs
    sizes = [len(experience.dataset) for experience in parts.benchmark.train_stream]
    found = time_parts(parts)
    assert found.batch == tiny_config["cl_strategy"]["train_mb_size"]
    assert min(found.step, found.predict, found.fixed + found.each) > 0
    assert min(found.first_load, found.load, found.read) > 0
    assert found.read <= found.predict
    assert (parts.strategy.plugins, parts.strategy.train_epochs) == (plugins, epochs)
    assert [len(e.dataset) for e in parts.benchmark.train_stream] == sizes


def test_a_method_that_prunes_late_in_an_experience_is_timed(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch_pruning")
    monkeypatch.setattr(timing, "MOST", 3)
    pruning = {"type": "ChannelPruning", "ratio": 0.5, "after": [0], "recover_epochs": 2}
    tiny_config["cl_strategy"] |= {"train_epochs": 5, "plugins": [pruning]}
    found = time_parts(build(tiny_config, CPU))  # in pieces of one epoch
    assert found.step > 0


def test_a_memorys_samples_and_a_method_s_pass_are_in_the_times(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        """Gives every sample that is trained on a second, and every one at the end another."""

        now = 0.0

    monkeypatch.setattr(timing, "MOST", 3)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: Clock.now)
    parts = build(tiny_config, CPU)

    class Costly(timing.SupervisedPlugin):
        def before_forward(self, strategy: Any, **_: object) -> None:
            Clock.now += len(strategy.mb_y)

        def after_training_exp(self, strategy: Any, **_: object) -> None:
            Clock.now += 5 + 2 * len(strategy.experience.dataset)

    parts.strategy.plugins.append(Costly())
    size = parts.strategy.train_mb_size
    found = time_parts(parts)
    assert found.step > size  # with the memory's
    assert (found.fixed, found.each) == (5, 2)
