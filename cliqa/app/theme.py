"""How the page looks: the system's fonts, the colours of the figures, and narrow windows."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Consolas", "monospace")


def make_theme() -> gr.themes.Base:
    """Return the theme; its fonts are those of the system, so that none is fetched."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="sm",
        text_size="md",
        font=list(FONTS),
        font_mono=list(MONO),
    )
    # advice is read: gradio's own grey has a contrast of 2.6 to white, these have 7.6 and 6.9
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


CSS = Path(__file__).with_name("page.css")
"""The page's style sheet."""

NAME_FIGURES = """() => {
  const label = image => image.closest('.figure').querySelector('label')?.textContent.trim();
  const images = () => document.querySelectorAll('.figure img');
  const name = () => images().forEach(image => image.alt ||= label(image) ?? '');
  new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
  name();
}"""
"""A script of the page: to a screen reader figures have the names that are shown above them."""
