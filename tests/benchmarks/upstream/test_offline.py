"""Nothing is looked up on the internet in a block that must not, and errors stay what they are."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import suppress

import pytest

from cliqa.benchmarks.upstream.offline import no_downloads
from cliqa.utils.errors import DatasetError


def fetch() -> None:
    """Announce a download, as torchvision does, and begin it."""
    print("Downloading")  # noqa: T201
    urllib.request.urlopen("http://example.invalid/x.zip")


def test_a_download_is_the_given_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = socket.getaddrinfo
    with pytest.raises(DatasetError, match="not there"), no_downloads("not there"):
        fetch()
    assert socket.getaddrinfo is before
    assert capsys.readouterr().out == ""


def test_also_where_the_error_is_caught() -> None:
    with (
        pytest.raises(DatasetError, match="not there"),
        no_downloads("not there"),
        suppress(Exception),
    ):
        fetch()


def test_other_errors_and_what_is_printed_pass(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="other"), no_downloads("not there"):
        raise ValueError("other")
    with no_downloads("not there"):
        print("read")  # noqa: T201
    assert capsys.readouterr().out == "read\n"
