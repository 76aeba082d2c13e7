"""A browser without a window, and sessions in it that note what they request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.browser.session import Session

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser(server: str) -> Iterator[Browser]:
    """Return the machine's Chromium; it starts after the server, a copy of this process."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("needs chromium: .ci/browser installs it")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(server: str, browser: Browser) -> Iterator[Any]:
    """Return a function that opens the server's page in a session of its own."""
    opened: list[Session] = []

    def open_(width: int = 1280, url: str = server) -> Session:
        opened.append(Session(browser, url, width))
        return opened[-1]

    yield open_
    for session in opened:
        session.close()
        assert session.elsewhere == [], "the page fetches from other machines"
        assert session.errors == []
