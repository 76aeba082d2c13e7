"""Tests of cliqa.utils.errors."""

from __future__ import annotations

import inspect

import pytest

from cliqa.utils import errors

KINDS = [value for _, value in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_except_clause_catches_every_mistake_of_a_user(kind: type[Exception]) -> None:
    with pytest.raises(errors.CliqaError, match=r"^row 3: too large$"):
        raise kind("row 3: too large")


def test_errors_are_no_builtin_ones_that_other_code_catches() -> None:
    assert not any(issubclass(kind, (ValueError, OSError, LookupError)) for kind in KINDS)


def test_what_a_damaged_file_holds_cannot_spoil_the_console() -> None:
    text = str(errors.DatasetError("row 3: '\x1b[31m\r\u2028\u202e\ud800' is no number"))
    assert text == r"row 3: '\x1b[31m\r\u2028\u202e\ud800' is no number"
    assert str(errors.DatasetError("one\ntwo, with \u00e9")) == "one\ntwo, with \u00e9"


def test_an_endless_word_is_cut() -> None:
    text = str(errors.DatasetError(f"a.csv: '{'x' * 5000}' is no number"))
    assert text == f"a.csv: '{'x' * 59}... (5002 characters) is no number"
    path = "/long" * 150
    assert str(errors.DatasetError(f"{path}: missing")) == f"{path}: missing"
