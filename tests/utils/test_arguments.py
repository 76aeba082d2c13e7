"""Arguments that entry points share, and checks of their values."""

from __future__ import annotations

import argparse

import pytest

from cliqa.utils.arguments import ARGUMENTS, SCALE, add_argument, add_arguments, check_scale
from cliqa.utils.errors import ConfigError


def test_an_argument_may_differ_in_one_command_alone() -> None:
    parser = argparse.ArgumentParser()
    add_argument(parser, "--seeds", default=[7])
    add_arguments(parser, *SCALE)
    args = parser.parse_args(["--scale", "1", "5"])
    assert (args.seeds, args.scale, args.dataset) == ([7], [1.0, 5.0], None)
    assert ARGUMENTS["--seeds"]["default"] == [0, 1, 2]
    assert parser.parse_args(["--seeds", "1", "2"]).seeds == [1, 2]


@pytest.mark.parametrize(
    ("scale", "dataset", "message"),
    [
        ((5.0, 1.0), None, "--scale 5 1: LOW must be below HIGH."),
        ((0.0, 1.0), "koniq", "--scale and --dataset: both give the scale. Choose one."),
    ],
)
def test_scales_that_are_none_are_refused(
    scale: tuple[float, float], dataset: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_scale(scale, dataset)


def test_one_scale_or_none_is_enough() -> None:
    check_scale((1, 5), None)
    check_scale(None, "koniq")
    check_scale(None, None)
