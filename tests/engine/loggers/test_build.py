"""From a config's list to loggers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.engine.loggers.build import PROVIDED, build_loggers, close_loggers
from cliqa.engine.loggers.files import TextLogger
from cliqa.engine.places import listed
from cliqa.registry import LOGGERS
from cliqa.utils.errors import ConfigError


def test_upstream_loggers_and_ours_are_built_in_order(tmp_path: Path) -> None:
    sections = [{"type": "InteractiveLogger"}, {"type": "ProgressBar"}, {"type": "TextLogger"}]
    built = build_loggers({"loggers": sections}, tmp_path)
    assert [type(logger).__name__ for logger in built] == [s["type"] for s in sections]
    assert isinstance(built[2], TextLogger)


def test_a_wrong_logger_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loggers\[1\] 'TextLogger': unexpected argument 'fil'"):
        build_loggers(
            {"loggers": [{"type": "CSVLogger"}, {"type": "TextLogger", "fil": 1}]}, tmp_path
        )


@pytest.mark.parametrize("config", [{}, {"loggers": None}, {"loggers": []}])
def test_there_may_be_none(config: dict[str, None], tmp_path: Path) -> None:
    assert build_loggers(config, tmp_path) == []


def test_only_those_that_write_files_get_the_folder(tmp_path: Path) -> None:
    sections = [{"type": "TextLogger", "file": "x.log"}, {"type": "ProgressBar"}]
    before = [dict(section) for section in sections]
    built = build_loggers({"loggers": sections}, tmp_path)
    assert sections == before
    assert Path(built[0].file.name) == tmp_path / "x.log"
    built[0].close()


def test_a_wrong_logger_is_named_before_any_is_made() -> None:
    sections = [{"type": "CSVLogger"}, {"type": "TensorbordLogger"}]
    first, second = listed(LOGGERS, {"loggers": sections}, "loggers", provided=PROVIDED)
    first.check()
    with pytest.raises(ConfigError, match=r"loggers\[1\]: unknown logger 'TensorbordLogger'"):
        second.check()


def test_closing_passes_over_what_has_nothing_to_close(tmp_path: Path) -> None:
    sections = [{"type": "InteractiveLogger"}, {"type": "TextLogger"}]
    built = build_loggers({"loggers": sections}, tmp_path)
    close_loggers(built)
    assert built[1].file.closed
