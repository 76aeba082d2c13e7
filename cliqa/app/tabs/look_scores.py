"""Panels of one run's scores: its matrix, curves, forgetting, summary, and its training."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pandas as pd

import cliqa
from cliqa.app.figures import drawn
from cliqa.app.parts import bullets, figure, note, on, shown_image, shown_table, table
from cliqa.app.settings import Settings
from cliqa.evaluation.records.gates import gate_table
from cliqa.evaluation.records.results import main_measure
from cliqa.evaluation.records.tables import LABELS, summary_table
from cliqa.visualization.curves import draw_forgetting, draw_scores
from cliqa.visualization.history import draw_history, load_metrics
from cliqa.visualization.matrix import draw_matrix

NO_EPOCHS = "This run has told of no epoch, so there is no curve of its training."
ONE_ROW = "Curves over the run, and forgetting, need two experiences learnt one after the other."


def scores_panel(settings: Settings, run: gr.State, stamp: gr.State) -> None:
    """Add the panel of scores; it is drawn anew when the stamp changes."""
    measure = gr.Dropdown(
        [], label="Measure", visible=False, elem_id="look-measure", interactive=True
    )
    with gr.Row():
        with gr.Column(min_width=320):
            matrix = figure("Models (rows) on data sets (columns)", elem_id="look-matrix")
        with gr.Column(min_width=320):
            curves = figure("Score on each data set over the run", elem_id="look-curves")
            forgetting = figure("Forgetting", elem_id="look-forgetting")
            few = gr.HTML(visible=False)
    summary = table("Summary", elem_id="look-summary")
    gate = table("The gate, after the last experience", elem_id="look-gate")
    warnings = gr.HTML(elem_id="look-warnings")

    def show_matrix(name: object, chosen: object) -> list[Any]:
        if name is None:
            return [gr.Dropdown(visible=False), shown_image(None)]
        content = cliqa.results(settings.path_of(name)).content
        known = [(LABELS.get(key, key), key) for key in content["matrix"]]
        kept = str(chosen) if chosen in content["matrix"] else main_measure(content)
        picture = drawn(draw_matrix, content, kept)
        return [gr.Dropdown(known, value=kept, visible=True), shown_image(picture)]

    def show(name: object) -> list[Any]:
        if name is None:
            return [
                shown_image(None),
                shown_image(None),
                note(""),
                shown_table(None),
                shown_table(None),
                "",
            ]
        found = cliqa.results(settings.path_of(name))
        content = found.content
        several = len(found.matrix()) > 1 and not content["joint"]
        forgets = several and len(content["datasets"]) > 1
        rows = summary_table(content).rows
        notes = [line for line in found.warnings if line.partition(": ")[0] not in found.summary.T]
        return [
            shown_image(drawn(draw_scores, content) if several else None),
            shown_image(drawn(draw_forgetting, content) if forgets else None),
            note("" if several else ONE_ROW),
            shown_table(pd.DataFrame(rows, columns=["number", "value", "meaning"])),
            shown_table(_gate(content)),
            f"<h3>Notes</h3>{bullets(notes)}" if notes else "",
        ]

    on(stamp.change, show_matrix, [run, measure], [measure, matrix])
    on(measure.input, show_matrix, [run, measure], [measure, matrix])
    on(stamp.change, show, [run], [curves, forgetting, few, summary, gate, warnings])


def training_panel(settings: Settings, run: gr.State, stamp: gr.State) -> None:
    """Add the panel of the training's curves."""
    none = gr.HTML(visible=False)
    history = figure("Loss, learning rate and scores by epoch", elem_id="look-history")

    def show(name: object) -> list[Any]:
        if name is None:
            return [shown_image(None), note("")]
        folder = settings.path_of(name)
        rows = [row for row in load_metrics(folder) if row.get("kind") == "epoch"]
        image = drawn(draw_history, rows) if rows else None
        return [shown_image(image), note("" if rows else NO_EPOCHS)]

    on(stamp.change, show, [run], [history, none])


def _gate(content: dict[str, Any]) -> pd.DataFrame | None:
    """Return what the run's gate did, None without one."""
    if not content.get("gate"):
        return None
    scores = content["matrix"][main_measure(content)]
    shown = gate_table(content["gate"], content["datasets"], scores)
    return pd.DataFrame(shown.rows, columns=["data set", *shown.header[1:]])
