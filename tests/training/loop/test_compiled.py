"""Compiled training passes: the same results, and only where nobody looks inside."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.models import MultiHeadClassifier
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop import compiled
from cliqa.training.loop.compiled import CompiledPasses
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Trace models as the compiler does, without its minute of compiling; count the graphs."""
    graphs: list[int] = []

    def keep(graph: Any, _: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    monkeypatch.setattr(compiled, "compile", functools.partial(torch.compile, backend=keep))
    monkeypatch.setattr(compiled, "check_compiler", lambda *_: None)
    torch._dynamo.reset()
    return graphs


def test_a_run_ends_as_without_it(
    make_strategy: Make, tiny_stream: QualityStream, traced: list[int], assert_same: Make
) -> None:
    ends = []
    for option in (False, True):
        strategy = make_strategy([Replay(8), EWC(1.0, n_samples=4)], epochs=1, compile=option)
        for index in range(2):
            strategy.train_step(index, [tiny_stream.train_stream[index]])
        ends.append((strategy.model.state_dict(), strategy.plugins[1].state_dict()))
    assert traced
    assert_same(ends[0], ends[1])


def test_other_passes_are_the_models_own(traced: list[int]) -> None:
    model = nn.Sequential(nn.Linear(3, 1))
    passes = CompiledPasses(model, "cpu")
    assert passes.takes(model)
    assert not passes.takes(nn.Linear(3, 1))
    handle = model[0].register_forward_hook(lambda *_: None)
    assert not passes.takes(model)
    handle.remove()
    assert not passes.takes(model.eval())
    heads = MultiHeadClassifier(3)
    assert not CompiledPasses(heads, "cpu").takes(heads)


def test_what_cannot_be_compiled_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unsupported(Exception):  # noqa: N818  as torch._dynamo's
        __module__ = "torch._dynamo.exc"

    def run(_: Tensor) -> Tensor:
        raise Unsupported("no such thing\nmore")

    monkeypatch.setattr(compiled, "compile", lambda _: run)
    monkeypatch.setattr(compiled, "check_compiler", lambda *_: None)
    passes = CompiledPasses(nn.Linear(3, 1), "cpu")
    with pytest.raises(ConfigError, match=r"cl_strategy\.compile: this network cannot .*\(no such"):
        passes(torch.rand(2, 3))


def test_a_missing_compiler_is_told_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliqa.utils.device.shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match=r"cl_strategy\.compile: there is no C\+\+ compiler"):
        CompiledPasses(nn.Linear(3, 1), "cpu")


def test_another_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cl_strategy\.compile: expected True or False, got 1"):
        TrainingOptions(compile=1)  # type: ignore[arg-type]
