"""Checks of plain values."""

from __future__ import annotations

import pytest

from cliqa.config.value_checks import DICTS, EVERY, FLAG, TEXT, integer, or_none


@pytest.mark.parametrize("value", [1, 7, {"epochs": 2}, {"experiences": 3}])
def test_how_often_is_epochs_or_experiences(value: object) -> None:
    assert EVERY(value) is None


@pytest.mark.parametrize(
    "value", [0, True, "2", {}, {"epochs": 0}, {"epochs": 1, "experiences": 1}]
)
def test_how_often_is_nothing_else(value: object) -> None:
    assert "dict(experiences=N)" in str(EVERY(value))


def test_checks_say_what_they_expect() -> None:
    assert integer(2)(1) == "an integer >= 2"
    assert or_none(integer(2))(None) is None
    assert or_none(integer(2))(1) == "an integer >= 2 or None"
    assert (TEXT("a"), TEXT("")) == (None, "a string")
    assert (FLAG(True), FLAG(1)) == (None, "true or false")
    assert (DICTS([{}]), DICTS([1])) == (None, "a list of dict(type='...')")
