"""Tests of cliqa.utils.logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliqa.utils.logging import close_logging, get_logger, setup_logging


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Take handlers away again."""
    yield
    close_logging()


def test_loggers_lie_below_the_package() -> None:
    assert get_logger("cliqa.engine.run").name == "cliqa.engine.run"
    assert get_logger("cliqa").name == "cliqa"
    assert get_logger("__main__").name == "cliqa.__main__"
    assert get_logger("cliqanova").name == "cliqa.cliqanova"


def test_console_shows_messages_alone_and_warnings_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    setup_logging()
    logger = get_logger("cliqa.test")
    logger.debug("hidden")
    logger.info("epoch %d", 3)
    logger.warning("odd")
    assert capsys.readouterr() == ("", "epoch 3\nwarning: odd\n")


def test_file_gets_everything_at_once(tmp_path: Path) -> None:
    file = tmp_path / "run" / "train.log"
    setup_logging(file)
    get_logger("cliqa.test").debug("grün")
    line = file.read_text(encoding="utf-8")  # before anything is closed: it is flushed
    assert line.endswith(" DEBUG cliqa.test: grün\n")


def test_file_keeps_what_an_earlier_run_wrote(tmp_path: Path) -> None:
    file = tmp_path / "train.log"
    for text in ("first", "second"):
        setup_logging(file)
        get_logger("cliqa.test").info(text)
    close_logging()
    assert [line.split()[-1] for line in file.read_text().splitlines()] == ["first", "second"]


def test_a_second_setup_replaces_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup_logging(tmp_path / "old.log")
    setup_logging(tmp_path / "new.log")
    get_logger("cliqa.test").info("once")
    assert capsys.readouterr().err == "once\n"
    assert (tmp_path / "old.log").read_text() == ""
    assert (tmp_path / "new.log").read_text().count("once") == 1


def test_handlers_of_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    other = logging.NullHandler()
    logging.getLogger("cliqa").addHandler(other)
    try:
        setup_logging()
        close_logging()
        assert other in logging.getLogger("cliqa").handlers
    finally:
        logging.getLogger("cliqa").removeHandler(other)
    setup_logging()
    get_logger("cliqa.test").info("seen by the root's handlers too")
    assert "seen by the root's" in caplog.text


def test_nothing_is_left_after_closing(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging()
    close_logging()
    get_logger("cliqa.test").info("gone")
    assert capsys.readouterr().err == ""
    assert logging.getLogger("cliqa").level == logging.NOTSET


def test_a_full_disk_is_told_once_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup_logging(tmp_path / "train.log")
    (handler,) = [h for h in logging.getLogger("cliqa").handlers if hasattr(h, "baseFilename")]
    get_logger("cliqa.test").debug("first")

    def full(record: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(handler, "format", full)
        for _ in range(3):
            get_logger("cliqa.test").info("epoch")
    get_logger("cliqa.test").debug("room again")
    told = capsys.readouterr().err
    assert told.count("epoch\n") == 3
    warning = f"warning: {tmp_path}/train.log: cannot be written (No space left on device)\n"
    assert told.replace("epoch\n", "") == warning
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == ["first", "room again"]


def test_a_name_that_is_no_utf8_stands_in_the_file(tmp_path: Path) -> None:
    setup_logging(tmp_path / "train.log")
    get_logger("cliqa.test").debug("caf\udce9.png")
    assert (tmp_path / "train.log").read_text(encoding="utf-8").endswith("caf\\udce9.png\n")
