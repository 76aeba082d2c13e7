"""The measured precision: what is chosen, what is left as it was, and what a resumed run takes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop import fastest_step as module
from cliqa.training.loop import steps
from cliqa.training.loop.fastest_step import fastest_step
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.precision import Computation, Precision
from cliqa.training.loop.schedule import Schedule

CPU = torch.device("cpu")
PLAIN, LAST = Computation(), Computation(channels_last=True)
HALF = Computation("bfloat16", channels_last=True)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 1)
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        ({PLAIN: 1.0, LAST: 1.0, HALF: 0.4}, HALF),
        ({PLAIN: 1.0, LAST: 0.5, HALF: 0.48}, LAST),
        ({PLAIN: 1.0, LAST: 0.95, HALF: 3.0}, PLAIN),
        ({PLAIN: 1.0, LAST: 0.5}, LAST),
    ],
)
def test_a_plainer_computation_is_kept_unless_another_is_clearly_faster(
    times: dict[Computation, float], chosen: Computation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(_: nn.Module, __: Tensor, precision: Precision) -> float:
        if precision.computation not in times:
            raise RuntimeError("no such kernel")
        return times[precision.computation]

    monkeypatch.setattr(module, "_seconds", take)
    found, seconds = fastest_step(network(), torch.rand(4, 3, 6, 6), CPU)
    assert (found, seconds) == (chosen, times)


def test_nothing_is_changed_and_every_kind_runs() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(4, 3, 6, 6)
    state = torch.get_rng_state()
    _, seconds = fastest_step(model, images, CPU)
    assert list(seconds) == [PLAIN, LAST, HALF]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_without_convolutions_there_is_no_layout_to_choose() -> None:
    _, seconds = fastest_step(nn.Linear(8, 1), torch.rand(4, 8), CPU)
    assert list(seconds) == [PLAIN, Computation("bfloat16")]


@pytest.mark.parametrize("computation", [PLAIN, LAST, HALF])
def test_a_resumed_run_computes_as_it_began_and_ends_with_the_same_bits(
    computation: Computation,
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    assert_same: Callable[[Any, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def strategy(choice: Computation, kept: list[Any]) -> Any:
        found = make_strategy([], epochs=2)
        options = TrainingOptions(seed=3, amp="auto")

        def keep(_: float) -> None:
            kept.append(torch_copy(found.state_dict()))

        found.configure(options, Schedule(None), keep)
        monkeypatch.setattr(steps, "fastest_step", lambda *_: (choice, {choice: 0.1}))
        return found

    states: list[Any] = []
    whole = strategy(computation, states)
    whole.train_step(0, [tiny_stream.train_stream[0]])
    assert whole.precision.computation == computation
    resumed = strategy(HALF if computation == PLAIN else PLAIN, [])
    resumed.load_state_dict(states[0])
    resumed.train_step(0, [tiny_stream.train_stream[0]])
    assert resumed.precision.computation == computation
    assert_same(resumed.state_dict()["model"], whole.state_dict()["model"])
    assert_same(resumed.state_dict()["optimizer"], whole.state_dict()["optimizer"])


def torch_copy(state: Any) -> Any:
    """Return a state as a file would give it back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
