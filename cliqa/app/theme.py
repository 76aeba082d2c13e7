"""How the page looks: the system's fonts, the colours of the figures, and narrow windows."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def make_theme() -> gr.themes.Base:
    """Return the theme; its fonts are those of the system, so that none is fetched."""
    return gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="sm",
        text_size="md",
        font=list(FONTS),
        font_mono=list(MONO),
    )


CSS = Path(__file__).with_name("page.css")
"""The page's style sheet."""
