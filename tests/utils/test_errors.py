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
