"""How the page looks: the system's fonts, the colours of the figures, and narrow windows."""

from __future__ import annotations

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


CSS = """
.gradio-container { max-width: min(1400px, 100vw) !important; margin: 0 auto !important; }
.gradio-container main, .gradio-container .tabitem { max-width: 100%; min-width: 0; }
.head h1 { font-size: 1.5rem; margin: 0; }
.head p { margin: 0; color: var(--body-text-color-subdued); }
.hint { color: var(--body-text-color-subdued); margin: .2rem 0; }
.hint code { white-space: pre-wrap; overflow-wrap: anywhere; }
.notes { margin: .2rem 0 .2rem 1.1rem; list-style: disc; overflow-wrap: anywhere; }
.facts { border-collapse: collapse; margin: .3rem 0; }
.facts, .facts * { border: none !important; }
.facts th, .facts td { text-align: left; padding: .15rem .8rem .15rem 0; overflow-wrap: anywhere; }
.facts th { color: var(--body-text-color-subdued); font-weight: 500; }
.figure img { background: white; object-fit: contain; }
.figure .image-container { padding-top: 1.9rem; }
.figure { max-width: 960px; }
.table { max-width: 100%; overflow-x: auto; }
.table * { font-family: var(--font) !important; word-break: normal !important; }
.table .header-content, .table .cell-wrap { overflow-wrap: break-word; }
.gallery .grid-container {
  grid-template-columns: repeat(auto-fill, minmax(110px, 1fr)) !important; min-width: 0;
}
.gallery .grid-wrap { padding-top: 2.2rem; }
.chosen { align-items: flex-end; }
.bar { height: .6rem; border-radius: .3rem; background: var(--background-fill-secondary); }
.bar div { height: 100%; border-radius: .3rem; background: var(--primary-500); }
.fault { color: var(--error-text-color, #b91c1c); overflow-wrap: anywhere; }
footer { display: none !important; }
"""
