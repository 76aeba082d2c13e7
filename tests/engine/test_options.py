"""What may be asked of a run, and what excludes what."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from cliqa.engine.options import RunOptions
from cliqa.utils.errors import ConfigError

LIGHT = """
import sys, cliqa.api.launch, cliqa.engine.options
heavy = {"torch", "avalanche", "numpy", "mmengine"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_options_and_launch_import_no_library() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resume": "auto", "extend": True}, "--resume and --extend: only one of them"),
        ({"extend": True, "start_from": "x"}, "--extend and --start-from: only one"),
        ({"stop_after": 0}, "--stop-after: expected a number of experiences >= 1, got 0"),
        ({"stop_after": True}, "--stop-after: expected a number"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RunOptions(**given)


@pytest.mark.parametrize("given", [{"extend": True}, {"start_from": "x"}, {"stop_after": 1}])
def test_a_pretraining_has_no_stream(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^--[a-z-]+: a pretraining has no stream"):
        RunOptions(**given).check_pretraining()
    RunOptions(resume="auto").check_pretraining()


def test_a_run_continues_with_more_by_two_options_alone() -> None:
    assert RunOptions(extend=True).continues
    assert RunOptions(start_from="x").continues
    assert not RunOptions(resume="auto").continues
