"""Tests of cliqa.utils.option_value."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.utils.errors import ConfigError
from cliqa.utils.option_value import parse_value

WHERE = "--cfg-options key"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("True", True),
        ("false", False),
        ("None", None),
        ("none", "none"),
        ("SGD", "SGD"),
        ("", ""),
        ("1_000", "1_000"),
        ("two words", "two words"),
        ("a=b", "a=b"),
        ("1,2,3", [1, 2, 3]),
        ("a, b", ["a", "b"]),
        ("1,", [1]),
        ("[1,2]", [1, 2]),
        ("[]", []),
        ("()", ()),
        ("(256,)", (256,)),
        ("(256, 256)", (256, 256)),
        ("'(256,256)'", (256, 256)),
        ('"[1,2]"', [1, 2]),
        ("[1,(2,3),[a,None]]", [1, (2, 3), ["a", None]]),
        ("['a,b', \"c\"]", ["a,b", "c"]),
        ("'42'", "42"),
        ("'a,b'", "a,b"),
        ("'a','b'", ["a", "b"]),
        ("data/a,b.csv", "data/a,b.csv"),
        ("C:\\x,y", "C:\\x,y"),
        ("{'a': 1, 'b': [None]}", {"a": 1, "b": [None]}),
        (
            "dict(type='A', lr=-1e-3, betas=(0.9, 1))",
            {"type": "A", "lr": -0.001, "betas": (0.9, 1)},
        ),
        ("[dict(a=dict(b=1)), {'type': 'B'}]", [{"a": {"b": 1}}, {"type": "B"}]),
        ("dict()", {}),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = parse_value(text, None, WHERE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "old", "value"),
    [
        ("a,b", "old", "a,b"),
        ("a/b,c/d", ["old"], ["a/b", "c/d"]),
        ("a/b,c/d", ("old",), ["a/b", "c/d"]),
        ("[a,b]", "old", ["a", "b"]),
        ("3", "old", 3),
        ("None", "old", None),
    ],
)
def test_commas_follow_what_the_key_holds(text: str, old: Any, value: Any) -> None:
    assert parse_value(text, old, WHERE) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,2", "key=\\[1,2: '\\]' is missing at the end"),
        ("(1,2]", "'\\)' is missing at the end"),
        ("(", "'\\)' is missing at the end"),
        ("[1,(2]", "'\\)' is missing"),
        ("1),2", "'\\)' closes nothing. Check the brackets"),
        ("[(1],2)]", "'\\]' closes nothing"),
        ("a,'b", '"\'" is missing'),
        ("{1: 2", "cannot read {1: 2. Write dict"),
        ("dict(lr=open)", "cannot read dict\\(lr=open\\)"),
        ("dict([('a', 1)])", "cannot read dict"),
        ("dict(**{})", "cannot read dict"),
        ("{1, 2}", "{1, 2} is no dict"),
        ("[dict(a=__import__('os'))]", "cannot read dict\\(a=__import__"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_value(text, None, WHERE)
