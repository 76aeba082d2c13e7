"""Tests of cliqa.config.flags."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.flags import as_flag


@pytest.mark.parametrize("word", ["true", "True", "YES", " yes ", "1", 1])
def test_words_for_true(word: Any) -> None:
    assert as_flag(word) is True


@pytest.mark.parametrize("word", ["false", "FALSE", "No", "0", 0])
def test_words_for_false(word: Any) -> None:
    assert as_flag(word) is False


@pytest.mark.parametrize("value", ["maybe", "", "on", 2, -1, 1.0, 0.0, None, [], True, False])
def test_anything_else_stays_as_it_is(value: Any) -> None:
    assert as_flag(value) is value
