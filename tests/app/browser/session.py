"""What a person does in a browser: opens the page, chooses, clicks, drops files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

PATIENCE = 60_000
"""Milliseconds for which something is waited for."""

MENU = ".overflow-menu > button"
"""The button of the menu of tabs that a narrow window has no room for."""


class Session:
    """A page in a browser context of its own.

    Args:
        browser: The browser.
        url: The server's address.
        width: Of the window, in pixels.

    Attributes:
        elsewhere: What the page has requested from others than the server.
        errors: What the page's scripts have complained about.
    """

    def __init__(self, browser: Browser, url: str, width: int = 1280) -> None:
        self._context = browser.new_context(
            viewport={"width": width, "height": 900}, accept_downloads=True
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.elsewhere: list[str] = []
        self.errors: list[str] = []
        own = (url, "data:", "blob:", "about:")
        self.page.on(
            "request", lambda r: None if r.url.startswith(own) else self.elsewhere.append(r.url)
        )
        self.page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        self.page.goto(url)

    def close(self) -> None:
        """Close the page."""
        self._context.close()

    def find(self, selector: str) -> Locator:
        """Return the first visible element of a selector, once there is one."""
        found = self.page.locator(f"{selector}:visible").first
        found.wait_for()
        return found

    def says(self, selector: str, text: str) -> Locator:
        """Wait until an element holds a text; return it."""
        found = self.page.locator(f"{selector}:visible").filter(has_text=text).first
        found.wait_for()
        return found

    def chosen(self, selector: str) -> str:
        """Wait until something is chosen in a list; return it."""
        script = "s => document.querySelector(`${s} input`)?.value"
        return str(self.page.wait_for_function(script, arg=selector).json_value())

    def tab(self, name: str) -> None:
        """Choose a tab, from the menu of those that a narrow window has no room for if need be."""
        tab = self.page.get_by_role("tab", name=name, exact=True).first
        self.find("[role=tablist]")
        self.page.wait_for_timeout(100)  # the tabs that do not fit move into the menu
        for menu in [] if tab.is_visible() else self.page.locator(f"{MENU}:visible").all():
            menu.click()
            entry = self.page.locator(".overflow-dropdown button:visible", has_text=name)
            if entry.count():
                entry.first.click()
                return
            menu.click()
        tab.click()

    def cell(self, selector: str, text: str) -> Locator:
        """Return the cell of a table with a text."""
        found = self.page.locator(f"{selector} .body-cell:visible").filter(has_text=text).first
        found.wait_for()
        return found

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list."""
        self.find(f"{selector} input").click()
        self.page.locator(f'[role=option][aria-label="{value}"]:visible').first.click()

    def drop(self, selector: str, files: Sequence[Path]) -> None:
        """Give files to a place for uploads, and wait until they are there."""
        self.page.locator(f"{selector} input[type=file]").set_input_files(list(map(str, files)))
        self.page.locator(f"{selector} .file").nth(len(files) - 1).wait_for()

    @property
    def overflow(self) -> int:
        """How many pixels the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))

    def shoot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        self.page.screenshot(path=path, full_page=True)
