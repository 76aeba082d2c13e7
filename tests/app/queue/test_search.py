"""What may be searched for."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.app.queue.search import Search
from cliqa.commands.models.compress import parse_args
from cliqa.utils.errors import ConfigError


def test_the_words_are_those_of_the_command() -> None:
    search = Search("demo", "quality", 0.05, (0.3,), ("onnxruntime", "openvino"))
    args = parse_args(["auto", "demo", *search.words()])
    assert (args.target, args.max_drop, args.prune) == ("quality", 0.05, [0.3])
    assert args.backends == ["onnxruntime", "openvino"]
    assert Search("demo").words() == ["--target", "size", "--max-drop", "0.02"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"run": "../x"}, "no such run"),
        ({"run": "/etc"}, "no such run"),
        ({"run": "a/./b"}, "no such run"),
        ({"run": ""}, "no such run"),
        ({"run": 3}, "no such run"),
        ({"target": "beauty"}, "target 'beauty': choose among size, latency, quality"),
        ({"max_drop": 2}, "a number from 0 to 1"),
        ({"max_drop": "0"}, "a number from 0 to 1"),
        ({"max_drop": float("nan")}, "a number from 0 to 1"),
        ({"prunings": [0.99]}, "share to prune 0.99"),
        ({"prunings": "--out"}, "share to prune '--out'"),
        ({"backends": ["--out", "/x"]}, "backend '--out'"),
    ],
)
def test_other_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Search(**{"run": "demo", **values})
