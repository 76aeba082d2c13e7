from __future__ import annotations

import pytest

from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.mistakes import Mistakes


def test_mistakes_are_raised_together_and_once() -> None:
    mistakes = Mistakes()
    for text in ("b", "a\nb", "c"):
        with mistakes.noted():
            raise ConfigError(text)
    mistakes.add(["c", "d"])
    with pytest.raises(DatasetError, match="^b\na\nc\nd$"):
        mistakes.raise_as(DatasetError)


def test_without_mistakes_nothing_is_raised() -> None:
    Mistakes().raise_as(DatasetError)


def test_bugs_are_not_collected() -> None:
    with pytest.raises(ZeroDivisionError), Mistakes().noted():
        _ = 1 / 0
