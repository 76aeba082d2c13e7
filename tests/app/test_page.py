"""Tests of cliqa.app.page and cliqa.app.theme."""

from __future__ import annotations

import re
from pathlib import Path

from cliqa.app.page import TABS, build_page
from cliqa.app.settings import Settings
from cliqa.app.theme import CSS, make_theme


def test_the_page_has_its_tabs_without_a_run(tmp_path: Path) -> None:
    page = build_page(Settings(tmp_path / "none"))
    names = [c["props"].get("label") for c in page.config["components"] if c["type"] == "tabitem"]
    assert [name for name, _ in TABS] == [name for name in names if name in dict(TABS)]
    assert not page.analytics_enabled
    assert all(d["api_visibility"] == "private" for d in page.config["dependencies"])


def test_the_theme_fetches_no_font() -> None:
    theme = make_theme()
    assert theme._stylesheets == []
    css = theme._get_theme_css()
    assert "@import" not in css
    assert "url(http" not in css.replace("'", "").replace('"', "")


def test_the_style_sheet_has_only_rules_that_gradio_keeps() -> None:
    text = re.sub(r"/\*.*?\*/", "", CSS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert set(re.findall(r"@[\w-]+", text)) <= {"@media", "@keyframes", "@font-face"}
