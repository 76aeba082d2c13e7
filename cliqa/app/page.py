"""The page: a tab for each kind of work."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from cliqa.app.settings import Settings
from cliqa.app.tabs.compress import compress_tab
from cliqa.app.tabs.look import look_tab
from cliqa.app.tabs.score import score_tab
from cliqa.app.tabs.train import train_tab

TABS: tuple[tuple[str, Callable[[Settings], None]], ...] = (
    ("Train", train_tab),
    ("Look", look_tab),
    ("Score", score_tab),
    ("Compress", compress_tab),
)
"""The tabs by their names, in their order. One more is one more line."""

STARTING = ("Train", "Compress")
"""The tabs that start processes."""

TITLE = "cliqa"

HOURS = 3600


def build_page(settings: Settings) -> gr.Blocks:
    """Return the page of a server with these settings."""
    tabs = [(n, add) for n, add in TABS if not (settings.read_only and n in STARTING)]
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(HOURS, 6 * HOURS),  # uploads and figures of sessions that have ended
    ) as page:
        gr.HTML(
            "<h1>cliqa</h1><p>Continual learning for image quality assessment</p>",
            elem_classes=["head"],
        )
        with gr.Tabs():
            for name, add_tab in tabs:
                with gr.Tab(name, id=name.lower()):
                    add_tab(settings)
    return page
