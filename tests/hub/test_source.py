"""Sources of models: paths, and addresses of the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.hub.source import on_this_machine
from cliqa.utils.errors import ConfigError


def test_other_sources_stay_as_they_are() -> None:
    for source in ("work_dirs/demo", Path("x.onnx")):
        assert on_this_machine(source) is source


def test_a_wrong_address_is_refused_without_the_hub() -> None:
    with pytest.raises(ConfigError, match="not the name of a repository"):
        on_this_machine("hf://iqa")
