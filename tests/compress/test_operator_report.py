"""What a search says about speed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.compress import operator_report as module
from cliqa.compress.operator_report import against_float32, operators_table
from cliqa.deploy.search.auto_optimizer import Outcome
from cliqa.deploy.search.pareto import Budget, RecipeResult
from cliqa.deploy.search.recipes import BASELINE, Recipe

INT8, STEM = (Recipe(0, "onnxruntime", "int8", in_float=part) for part in ("", "stem"))


def row(recipe: Recipe, faster: float, drop: float = 0.0, file: str | None = None) -> RecipeResult:
    return RecipeResult(recipe, 0.9, drop=drop, bytes=9, smaller=1.0, faster=faster, file=file)


def outcome(*rows: RecipeResult) -> Outcome:
    first = [row(BASELINE, 1.0), row(Recipe(), 2.0, file="whole.onnx")]
    return Outcome([*first, *rows], [], None, "latency", Budget(max_drop=0.01))


def test_what_beats_float32_is_named_the_fastest_first() -> None:
    said = against_float32(outcome(row(INT8, 3.0), row(STEM, 5.0), row(Recipe(0.5), 9.0)))
    assert said == (
        "faster than onnxruntime fp32 within the budget: onnxruntime int8, stem in float (2.50x), "
        "onnxruntime int8 (1.50x)"
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(INT8, 1.9)], "no other form is faster than onnxruntime fp32 here: keep it, or prune"),
        (
            [row(INT8, 1.9), row(STEM, 3.0, 0.05)],
            "nothing within the budget is faster than onnxruntime fp32; onnxruntime int8, stem in "
            "float is (1.50x)",
        ),
        ([], ""),
        ([RecipeResult(INT8, note="failed: so")], ""),
    ],
)
def test_it_is_said_where_nothing_does(rows: list[RecipeResult], said: str) -> None:
    assert against_float32(outcome(*rows)) == said


def test_the_operators_of_float32_and_int8_stand_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times: dict[str, dict[str, float]] = {
        "whole.onnx": {"convolution": 3.0, "activation": 1.0},
        "small.onnx": {"convolution": 1.0, "to and from integers": 0.5},
    }

    def measured(path: str, *_: Any, **__: Any) -> dict[str, float]:
        return times[path]

    monkeypatch.setattr(module, "operator_times", measured)
    batch = torch.zeros(1, 3, 8, 8)
    table = operators_table(outcome(row(INT8, 3.0, file="small.onnx")), batch, 1)
    assert table is not None
    assert table.header == ("operator", "onnxruntime fp32: ms", "onnxruntime int8: ms")
    assert table.rows[0] == ("convolution", "3.000", "1.000")
    assert table.rows[-1] == ("all", "4.000", "1.500")
    assert operators_table(outcome(), batch, 1) is None
