"""A download that fails is one line with advice."""

from __future__ import annotations

from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import URLError

import pytest

from cliqa.datasets.classes.download import download
from cliqa.utils.errors import DatasetError


def failing(error: BaseException) -> Callable[[], None]:
    def fetch() -> None:
        raise error

    return fetch


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (URLError("no network"), r"\(<urlopen error no network>\)"),
        (RuntimeError("Tried A, got:\nrefused\nTried B.\n"), r"\(Tried A, got: refused Tried B\)"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (IncompleteRead(b"12", 5), "IncompleteRead"),
        (OSError(), r"\(OSError\)"),
    ],
)
def test_a_failure_is_one_line(error: Exception, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=reason) as caught:
        download(failing(error), "Toys", tmp_path, "draw them.")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: the download of Toys failed (")
    assert message.endswith("Try again on a machine with a network, or draw them.")
    assert "\n" not in message


def test_other_errors_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        download(failing(ZeroDivisionError()), "Toys", tmp_path, "draw them.")


def test_success_is_silent(tmp_path: Path) -> None:
    done = []
    download(lambda: done.append(1), "Toys", tmp_path, "draw them.")
    assert done == [1]
