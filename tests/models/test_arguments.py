from __future__ import annotations

import pytest

from cliqa.models.arguments import check_positive
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_what_is_not_above_0_is_refused_by_its_name(value: float) -> None:
    check_positive("Net", width=1, scale=0.5)
    with pytest.raises(ConfigError, match=rf"^Net: scale must be above 0, got {value}\.$"):
        check_positive("Net", width=1, scale=value)
