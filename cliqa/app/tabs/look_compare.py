"""Panel of several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import pandas as pd
from gradio.processing_utils import save_bytes_to_cache

import cliqa
from cliqa.app.errors import message_of
from cliqa.app.figures import drawn
from cliqa.app.parts import figure, hint, note, on, short_names, shown_image, shown_table, table
from cliqa.app.settings import Settings
from cliqa.evaluation.records.tables import comparison_table
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.visualization.comparison import draw_comparison
from cliqa.visualization.history import draw_histories, load_metrics
from cliqa.visualization.matrix import draw_matrix

CHOOSE = "Choose other runs under Compare with, at the top: they appear here side by side."

MOST = 8
"""Runs in one comparison."""


def compare_panel(settings: Settings, run: gr.State, others: gr.Dropdown, stamp: gr.State) -> None:
    """Add the panel; it is drawn anew when the stamp or the other runs change."""
    advice = gr.HTML(hint(CHOOSE), elem_id="look-compare-hint")
    final = table("Final scores", elem_id="look-compare-table")
    csv = gr.DownloadButton("Download csv", visible=False, elem_id="look-compare-csv", size="sm")
    comparison = figure("Final scores with 95 % intervals", elem_id="look-comparison")
    with gr.Row(elem_classes=["matrices"]):
        matrices = [figure(f"Matrix {k + 1}", elem_id=f"look-matrix-{k}") for k in range(MOST)]
    training = figure("Training", elem_id="look-trainings")

    def show(name: object, compared: Sequence[object] | None) -> list[Any]:
        names = list(dict.fromkeys([name, *(compared or ())]))
        hidden = gr.update(visible=False)
        if name is None or len(names) < 2:
            return [note(CHOOSE), *[hidden] * (4 + MOST)]
        if len(names) > MOST:
            raise ConfigError(f"{len(names)} runs: choose at most {MOST} at once.")
        folders = [settings.path_of(each) for each in names]
        labels = short_names([str(each) for each in names])
        runs, faults = {}, []
        for label, folder in zip(labels, folders, strict=True):
            try:
                runs[label] = cliqa.results(folder).content
            except ArtifactError as error:  # the others are compared
                faults.append(f"{label}: {message_of(error)}")
        if len(runs) < 2:
            return [note(" ".join([*faults, CHOOSE])), *[hidden] * (4 + MOST)]
        shown = comparison_table(runs)
        rows = pd.DataFrame(shown.rows, columns=["run", *shown.header[1:]])
        grids = [
            gr.Image(drawn(draw_matrix, content), label=label, visible=True)
            for label, content in runs.items()
        ]
        epochs = {
            label: [row for row in load_metrics(folder) if row.get("kind") == "epoch"]
            for label, folder in zip(labels, folders, strict=True)
            if label in runs
        }
        told = {label: own for label, own in epochs.items() if own}
        curves = drawn(draw_histories, told) if len(told) > 1 else None
        return [
            note(" ".join(faults)),
            shown_table(rows),
            gr.DownloadButton(value=_saved(rows, csv.GRADIO_CACHE), visible=True),
            shown_image(drawn(draw_comparison, runs)),
            shown_image(curves),
            *grids,
            *[hidden] * (MOST - len(grids)),
        ]

    outputs = [advice, final, csv, comparison, training, *matrices]
    on([stamp.change, others.change], show, [run, others], outputs)


def _saved(rows: pd.DataFrame, cache: str) -> str:
    """Return a file of a table among what the page shows: it goes with that."""
    text = rows.to_csv(index=False)
    return save_bytes_to_cache(text.encode(), "comparison.csv", cache)
