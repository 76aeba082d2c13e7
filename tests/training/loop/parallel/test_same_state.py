"""Processes whose states differ are refused; those that differ by rounding are not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.training.loop.parallel.same_state import check_same_state, marks_of
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.processes.group import rank
from tests.processes import in_processes


class Own(ContinualPlugin):
    """Keeps what each process has drawn for itself."""

    distributed = "it says that it does"
    saved = ("noise",)
    noise = torch.zeros(3)

    def after_training_exp(self, strategy: Any, **_: object) -> None:  # noqa: ANN401
        """Draw, each process from another seed."""
        self.noise = torch.rand(3, generator=torch.Generator().manual_seed(rank()))


def test_a_plugin_that_draws_for_itself_is_named(make_strategy: Any, short_stream: Any) -> None:  # noqa: ANN401
    def work() -> str:
        strategy = make_strategy([Own()], epochs=1)
        with pytest.raises(Exception, match="after step 1 of the stream") as caught:
            strategy.train_step(0, list(short_stream.train_stream[:1]))
        return str(caught.value)

    first, second = in_processes(2, work)
    assert first == second
    assert "process 1 holds another plugins.0.Own.noise than process 0" in first
    assert "cliqa.utils.seed.generator(...)" in first


DIFFERENT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"a": [1, 2]}, {"a": [1, 3]}),
    ({"a": [torch.ones(2), None]}, {"a": [torch.ones(2), torch.ones(2)]}),
    ({"a": torch.tensor([1, 2])}, {"a": torch.tensor([2, 1])}),
    ({"a": torch.tensor([1.0])}, {"a": torch.tensor([1.01])}),
    ({"a": 1.0}, {"a": float("nan")}),
    ({"a": 1}, {"b": 1}),
]


def test_what_differs_is_refused() -> None:
    def work() -> list[str]:
        said = []
        for pair in DIFFERENT:
            with pytest.raises(Exception, match="cl_strategy: now process 1 holds") as caught:
                check_same_state(pair[rank()], "now")
            said.append(str(caught.value))
        return said

    check_same_state(DIFFERENT[0][0], "now")  # a single process
    first, second = in_processes(2, work)
    assert first == second
    assert ["another a.1" in text for text in first] == [False, True, False, False, False, False]
    assert "another a and 1 more than process 0" in first[5]


def test_rounding_is_not() -> None:
    values = torch.tensor([0.5, float("inf"), 1e-30])

    def work() -> None:
        state = {"a": values * (1 + 1e-6 * rank()), "b": float("nan"), "c": torch.zeros(0)}
        check_same_state(state, "now")

    in_processes(2, work)


def test_every_kind_of_value_has_a_mark() -> None:
    state = {"a": (torch.zeros(2, dtype=torch.bfloat16), "x", None), "b": [1, 2], "c": {}}
    assert list(dict(marks_of(state))) == ["a.0", "a.1", "a.2", "b"]
