"""Options that cannot work are refused."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.training.loop.options import TrainingOptions
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_workers": -1}, r"num_workers: expected an integer from 0 to \d+ \(.*\), got -1"),
        ({"num_workers": 1.5}, r"num_workers: expected an integer"),
        ({"validate_every": -2}, r"validate_every: expected an integer >= 0"),
        ({"accumulate": 0}, r"cl_strategy\.accumulate: expected an integer >= 1, got 0"),
        (
            {"amp": "half"},
            r"amp: expected True, False, 'bfloat16', 'float16' or 'auto', got 'half'",
        ),
        (
            {"keep_best": "val_srcc"},
            r"keep_best: expected True or False: whether .*, got 'val_srcc'",
        ),
        ({"patience": 0}, r"cl_strategy\.patience: expected an integer >= 1 or None, got 0"),
        ({"min_delta": -1}, r"cl_strategy\.min_delta: expected a number >= 0, got -1"),
        ({"keep_best": True, "validate_every": 0}, r"keep_best: nothing is validated with valid"),
        ({"patience": 2, "validate_every": 0}, r"patience: nothing .* Set cl_strategy.validate_e"),
        ({"clip_grad_norm": 0}, r"clip_grad_norm: expected a number > 0 or None, got 0"),
    ],
)
def test_bad_values_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingOptions(**arguments)


def test_defaults() -> None:
    options = TrainingOptions()
    assert (options.seed, options.num_workers, options.amp) == (0, 0, False)
    assert options.accumulate == 1
