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
    ("backends", "kinds", "precisions"),
    [
        ((), (), None),
        (("onnxruntime",), ("32 bit", "16 bit", "8 bit"), None),
        (("onnxruntime",), ("16 bit",), ["fp16"]),
        (("torch",), ("16 bit",), ["bf16"]),
        (("openvino",), ("32 bit", "8 bit"), ["fp32", "int8", "int8-bf16"]),
        (("onnxruntime", "openvino"), ("16 bit",), ["fp16", "bf16"]),
    ],
)
def test_kinds_of_precisions_are_those_of_the_backends(
    backends: tuple[str, ...], kinds: tuple[str, ...], precisions: list[str] | None
) -> None:
    words = Search("demo", backends=backends, kinds=kinds).words()
    assert parse_args(["auto", "demo", *words]).precisions == precisions


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
        ({"kinds": ["4 bit"]}, "precision '4 bit': choose among 32 bit, 16 bit, 8 bit"),
        ({"kinds": ["8 bit"], "backends": ["torch"]}, "precision 8 bit: torch has none"),
    ],
)
def test_other_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Search(**{"run": "demo", **values})
