"""Numbers of a page."""

from __future__ import annotations

import pytest

from cliqa.app.tabs.train_form import _whole
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize("value", [None, 0, 3, 3.0, 10**400, -1])
def test_whole_numbers(value: float | None) -> None:
    assert _whole(value, "epochs") == (value or 0)


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), "3", True, [], {}])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="epochs: must be an integer"):
        _whole(value, "epochs")
