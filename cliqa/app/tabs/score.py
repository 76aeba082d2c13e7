"""The tab *Score*: images and folders, sorted by quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from cliqa.app.loaded import loaded
from cliqa.app.parts import hint, how_to_train, on, opened, shown_table, table
from cliqa.app.scoring import (
    UNIT,
    Batch,
    Scored,
    as_table,
    dataset_of,
    score_files,
    thumbnail,
    uploaded,
    write_csv,
)
from cliqa.app.settings import Settings, forget_searches
from cliqa.app.tabs.score_image import image_panel
from cliqa.datasets.image_listing import find_images
from cliqa.utils.errors import ConfigError

NO_MODELS = (
    "There is no model yet. {how}, or put an exported file (`.onnx`) into the folder of runs that "
    "the server was started with."
)
DROP = "Choose a model, drop images, and press Score."

SHOWN = 200
"""Images in the gallery."""


def score_tab(settings: Settings) -> None:
    """Add the tab's components to the page."""
    batch: gr.State = gr.State(None)
    chosen: gr.State = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            model = gr.Dropdown(settings.models(), value=None, label="Model", elem_id="score-model")
            scale = gr.Dropdown([UNIT], value=UNIT, label="Scale", elem_id="score-scale")
            files = gr.File(
                file_count="multiple", label="Images", elem_id="score-files", height=170
            )
            folder = gr.Dropdown(
                ["", *settings.folders()],
                value="",
                label="or a folder of the server",
                visible=settings.images is not None,
                elem_id="score-folder",
            )
            with gr.Row():
                go = gr.Button("Score", variant="primary", elem_id="score-go", min_width=100)
                refresh = gr.Button("Refresh", elem_id="score-refresh", min_width=100)
            state = gr.HTML(hint(DROP), elem_id="score-state")
        with gr.Column(scale=5, min_width=320):
            gallery = gr.Gallery(
                label="By quality, the best first",
                columns=5,
                height=330,
                object_fit="contain",
                allow_preview=False,
                format="webp",
                buttons=[],
                visible=False,
                elem_id="score-gallery",
                elem_classes=["gallery"],
            )
            found = table("Scores", elem_id="score-table", max_height=330)
            download = gr.DownloadButton(
                "Download csv", visible=False, elem_id="score-csv", size="sm"
            )
    image_panel(settings, batch, chosen)

    def list_models(name: object, scored: Batch | None) -> list[Any]:
        forget_searches()
        known = settings.models()
        kept = name if name in known else next(iter(known), None)
        folders = gr.Dropdown(["", *settings.folders()])
        text = DROP if known else NO_MODELS.format(how=how_to_train(settings))
        told = hint(text) if scored is None or not known else gr.skip()
        return [gr.Dropdown(known, value=kept), folders, told]

    def list_scales(name: object, kept: object) -> gr.Dropdown:
        if name is None:
            return gr.Dropdown([UNIT], value=UNIT, visible=True)
        with loaded(settings).model(name) as opened:
            known = [UNIT, *opened.scales]
            of_classes = bool(opened.classes)
        return gr.Dropdown(known, value=kept if kept in known else UNIT, visible=not of_classes)

    def score(
        name: object,
        on_scale: object,
        given: Sequence[str] | None,
        inside: object,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  gradio's way to ask for one
    ) -> list[Any]:
        paths, dataset = _paths(settings, given, inside), dataset_of(on_scale)
        with loaded(settings).model(name) as opened:
            scored = score_files(
                opened,
                paths,
                None if opened.classes else dataset,
                lambda done, total: progress((done, total), unit="images"),
            )
            of_classes = bool(opened.classes)
        pictures = [(thumbnail(row.path), _caption(row)) for row in scored[:SHOWN] if not row.error]
        shown = [(picture, text) for picture, text in pictures if picture is not None]
        csv = write_csv(scored, of_classes)
        return [
            Batch(str(name), dataset, tuple(scored)),
            None,
            gr.Gallery(shown, selected_index=None, visible=bool(shown)),
            shown_table(as_table(scored, of_classes)),
            gr.DownloadButton(value=str(csv), visible=True),
            hint(_summary(scored, str(name), None if of_classes else str(on_scale))),
        ]

    def pick(scored: Batch | None, event: gr.SelectData) -> str | None:
        """Return the name of the image that was chosen in the gallery, by its place."""
        rows = () if scored is None else scored.rows
        shown = [row for row in rows[:SHOWN] if not row.error]
        place = event.index if isinstance(event.index, int) else -1
        return shown[place].name if 0 <= place < len(shown) else None

    def pick_row(scored: Batch | None, event: gr.SelectData) -> str | None:
        """Return the name of the image whose row was chosen, if it is one of this session's."""
        given = event.row_value if isinstance(event.row_value, list) else []
        rows = () if scored is None else scored.rows
        return next((row.name for row in rows if row.name in given[:1]), None)

    listed = [model, folder, state]
    on([*opened(), refresh.click], list_models, [model, batch], listed, quiet=True)
    on(model.change, list_scales, [model, scale], [scale], quiet=True)
    outputs = [batch, chosen, gallery, found, download, state]
    on(go.click, score, [model, scale, files, folder], outputs)
    on(gallery.select, pick, [batch], [chosen], quiet=True)
    on(found.select, pick_row, [batch], [chosen], quiet=True)


def _paths(settings: Settings, given: Sequence[str] | None, inside: object) -> list[Path]:
    """Return the files to score.

    Raises:
        ConfigError: There is none, or there are too many.
        DatasetError: The folder holds no image.
    """
    paths = [uploaded(path) for path in given or ()]
    if inside:
        paths += find_images([str(settings.folder_of(inside))])
    if not paths:
        raise ConfigError("There is no image to score. Drop some, or choose a folder.")
    if len(paths) > settings.max_images:
        raise ConfigError(
            f"{len(paths)} images: this server scores at most {settings.max_images} at once. "
            "The command cliqa predict scores any number."
        )
    return paths


def _caption(row: Scored) -> str:
    """Return what stands below an image of the gallery."""
    return f"{row.label} {row.value:.2f}" if row.label else f"{row.value:.3f}"


def _summary(scored: Sequence[Scored], model: str, scale: str | None) -> str:
    """Return what was scored, by which model, and on which scale; None for one of classes."""
    bad = sum(row.error is not None for row in scored)
    good = len(scored) - bad
    on = f", from {UNIT}" if scale == UNIT else f", on the scale of {scale}"
    by = f" by {model}{on if scale else ''}"
    text = f"{good} of {len(scored)} images scored{by}." if bad else f"{good} scored{by}."
    more = f" The gallery shows the first {SHOWN}." if len(scored) > SHOWN else ""
    return f"{text}{more} Choose one to see why it has its score."
