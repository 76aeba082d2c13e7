"""Panel of studies: several configs over seeds, their means and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

import cliqa
from cliqa.app.errors import told
from cliqa.app.figures import picture_of
from cliqa.app.parts import Trigger, bullets, figure, hint, on, shown_image, table
from cliqa.app.settings import Settings

NO_STUDIES = (
    "There is no study yet. Compare configs over seeds with "
    "`cliqa study cliqa::demo.py --seeds 0 1 2`, and press Refresh."
)

TABLES = 3
"""The most tables of a study."""


def studies_panel(settings: Settings, opened: Sequence[Trigger]) -> None:
    """Add the panel; its list is filled at the events `opened`."""
    study = gr.Dropdown([], label="Study", visible=False, elem_id="look-study", interactive=True)
    notes = gr.HTML(hint(NO_STUDIES), elem_id="look-study-notes")
    picture = figure("Study", elem_id="look-study-figure")
    tables = [table(f"Table {k + 1}", elem_id=f"look-study-table-{k}") for k in range(TABLES)]

    def names(chosen: object) -> gr.Dropdown:
        known = settings.studies()
        kept = chosen if chosen in known else next(iter(known), None)
        return gr.Dropdown(known, value=kept, visible=bool(known))

    def show(name: object) -> list[Any]:
        hidden = gr.update(visible=False)
        if name is None:
            return [hint(NO_STUDIES), *[hidden] * (1 + TABLES)]
        found = cliqa.study_results(settings.path_of(name))
        shown = [
            gr.Dataframe(
                list(map(list, frame.to_numpy())),
                headers=_heads(list(frame.columns)),
                label=title,
                visible=True,
            )
            for title, frame in found.tables.items()
        ][:TABLES]
        return [
            bullets(found.notes),
            shown_image(picture_of(found.figure())),
            *shown,
            *[hidden] * (TABLES - len(shown)),
        ]

    outputs = [notes, picture, *tables]
    listed = on(list(opened), names, [study], [study], quiet=True)
    listed.then(told(show), [study], outputs, show_progress="hidden", api_visibility="private")
    on(study.input, show, [study], outputs)


def _heads(columns: Sequence[str]) -> list[str]:
    """Return the heads of columns; the first has none of its own."""
    return ["config" if not name and k == 0 else str(name) for k, name in enumerate(columns)]
