"""Tests of cliqa.config.values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cliqa.config.values import config_differences, flatten, format_config, plain
from cliqa.utils.errors import ConfigError

VALUES: dict[str, Any] = {
    "short": {"type": "SGD", "lr": 1e-3, "nesterov": True, "schedule": None},
    "long": [{"type": f"Transform{k}", "size": (224, 224), "p": 0.5} for k in range(3)],
    "odd keys": {"a-b": 1, "class": 2, 3: {"": ()}, 0.5: [], None: 1},
    "deep": {"a": {"b": {"c": {"d": ["x" * 90, {"e": ((1,), [[]])}]}}}},
    "text": 'it\'s "so"\n\\ ü {single}',
    "float": -0.1 + 0.3,
}


def read(text: str) -> dict[str, Any]:
    """Run the text of a config."""
    found: dict[str, Any] = {}
    exec(text, {}, found)
    return found


@pytest.mark.parametrize("name", VALUES)
def test_written_values_read_back_as_equal(name: str) -> None:
    text = format_config({"section": VALUES[name]})
    assert read(text) == {"section": VALUES[name]}


def test_infinities_read_back() -> None:
    found = read(format_config({"a": [math.inf, -math.inf], "b": {"c": math.nan}}))
    assert found["a"] == [math.inf, -math.inf]
    assert math.isnan(found["b"]["c"])


def test_short_values_stand_on_a_line_and_long_ones_on_several() -> None:
    text = format_config({"a": {"type": "SGD"}, "b": VALUES["long"]})
    assert text.splitlines()[:4] == [
        "a = dict(type='SGD')",
        "",
        "b = [",
        "    dict(type='Transform0', size=(224, 224), p=0.5),",
    ]
    assert max(map(len, text.splitlines())) < 100


def test_plain_values_are_copied() -> None:
    value = {"a": [1, (2.0, None)], "_delete_": True, "b": {"_scope_": None, 3: "c"}}
    found = plain(value, "x.py: a")
    assert found == {"a": [1, (2.0, None)], "b": {3: "c"}}
    assert found["a"] is not value["a"]


def test_subclasses_become_plain() -> None:
    class Name(str):
        pass

    found = plain({"a": np.float64(0.5), "b": Name("n")}, "x")
    assert {key: type(item) for key, item in found.items()} == {"a": float, "b": str}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([np.zeros(1)], r"x\.0: .* numpy\.ndarray\. Add \.tolist\(\) to it"),
        ({"a": {"b": print}}, r"x\.a\.b: .*the function print"),
        ({"a": object}, r"x\.a: .*the class builtins\.object. Write its name: 'builtins"),
        ({"a": object()}, r"x\.a: .*a object\. Write it as a string"),
        (["{{ fileDirnam }}"], r"x\.0: unknown placeholder \{\{ fileDirnam \}\}\. Known are \{\{"),
        ({(1, 2): 3}, r"x: the key \(1, 2\) is a tuple"),
    ],
)
def test_refused(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plain(value, "x")


def test_flatten_keeps_empty_collections() -> None:
    value = {"a": {"b": [1, {"c": 2}], "d": {}}, "e": ()}
    assert flatten(value) == {"a.b.0": 1, "a.b.1.c": 2, "a.d": {}, "e": ()}


@pytest.mark.parametrize(
    ("a", "b", "keys"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        ({"a": [1]}, {"a": [1, 2]}, ["a.1"]),
        ({"a": {"b": 1}}, {"a": 3}, ["a", "a.b"]),
        ({"a": math.nan}, {"a": math.nan}, []),
        ({"a": None}, {}, ["a"]),
        ({"b": 1, "a": 1}, {"b": 2, "a": "1"}, ["a", "b"]),
    ],
)
def test_config_differences(a: dict[str, Any], b: dict[str, Any], keys: list[str]) -> None:
    assert config_differences(a, b) == keys
    assert config_differences(b, a) == keys
