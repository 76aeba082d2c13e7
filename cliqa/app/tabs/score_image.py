"""Panel of one scored image: where the model looks, how it ranks damage, what each step said."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pandas as pd

import cliqa
from cliqa.app.errors import message_of
from cliqa.app.figures import drawn
from cliqa.app.loaded import loaded
from cliqa.app.parts import figure, hint, on, shown_image, shown_table, table
from cliqa.app.scoring import Batch, Scored, score_files
from cliqa.app.settings import Settings
from cliqa.evaluation.records.tables import number
from cliqa.explain.attention import explain
from cliqa.explain.attention_figure import draw_attention
from cliqa.explain.ranking import draw_strip, rank_degradations
from cliqa.utils.errors import CliqaError

KINDS = ("blur", "jpeg", "noise")

CHOOSE = "Choose an image in the gallery or the table."
LOOKS = (
    "Where the model looks, or which places raise and lower its score: of 0 to 1, or of a class."
)
STRIP = (
    "The image at rising blur, JPEG compression and noise, with scores of 0 to 1. A model that "
    "measures quality gives every version less than the one before."
)
NO_STEPS = "Neither a checkpoint of each experience is kept, nor has the model a gate."
STEPS = "What the model said after each experience"
ON_SCALE, PROBABLE = ", on the chosen scale.", ", and how probable it was to it."
NO_LADDER = "This model tells classes apart: it gives no scores whose order could be looked at."
GATE = " Weight is how much the gate counts each view in the final score."


def image_panel(settings: Settings, batch: gr.State, chosen: gr.State) -> None:
    """Add the panel; it is filled when another image is chosen."""
    title = gr.HTML(elem_id="score-title")
    with gr.Tabs(visible=False, elem_id="score-why") as why:
        with gr.Tab("Attention"):
            looks_note = gr.HTML(hint(LOOKS))
            looks = figure("Attention", elem_id="score-looks")
        with gr.Tab("Blur, JPEG, noise"):
            strip_note = gr.HTML(hint(STRIP))
            strip = figure("Ranking", elem_id="score-strip")
        with gr.Tab("By experience"):
            steps_note = gr.HTML()
            steps = table("Scores by experience", elem_id="score-steps")

    def look(scored: Batch, name: object) -> list[Any]:
        return _look(settings, scored, name)

    def rank(scored: Batch, name: object) -> list[Any]:
        return _rank(settings, scored, name)

    def by_experience(scored: Batch, name: object) -> list[Any]:
        return _by_experience(settings, scored, name)

    on([batch.change, chosen.change], _head, [batch, chosen], [title, why], quiet=True)
    on(chosen.change, look, [batch, chosen], [looks_note, looks])
    on(chosen.change, rank, [batch, chosen], [strip_note, strip])
    on(chosen.change, by_experience, [batch, chosen], [steps_note, steps])


def _head(scored: Batch | None, name: object) -> list[Any]:
    """Return the name and the score of the chosen image, and whether the tabs are shown."""
    if scored is None:
        return ["", gr.Tabs(visible=False)]
    if name is None:
        return [f"<h3>One image</h3>{hint(CHOOSE)}", gr.Tabs(visible=False)]
    row = scored.row(name)
    value = row.error or f"{row.label or ''} {number(row.value)}".strip()
    shown = row.name if row.error else f"{row.name}: {value}"
    more = hint(value) if row.error else ""
    return [f"<h3>One image</h3>{hint(shown)}{more}", gr.Tabs(visible=not row.error)]


def _look(settings: Settings, scored: Batch, name: object) -> list[Any]:
    """Return where the model looks, or why that cannot be told."""
    if name is None or scored.row(name).error:
        return [hint(LOOKS), shown_image(None)]
    try:
        with loaded(settings).model(scored.model) as opened:
            found = explain(opened.predictor, scored.row(name).path)
    except CliqaError as error:
        return [hint(message_of(error) or ""), shown_image(None)]
    return [hint(LOOKS), shown_image(drawn(draw_attention, [found]))]


def _rank(settings: Settings, scored: Batch, name: object) -> list[Any]:
    """Return the scores at rising damage, or why there are none."""
    if name is None or scored.row(name).error:
        return [hint(STRIP), shown_image(None)]
    try:
        with loaded(settings).model(scored.model) as opened:
            if opened.classes:
                return [hint(NO_LADDER), shown_image(None)]
            ladders = rank_degradations(opened.predictor, scored.row(name).path, KINDS)
    except CliqaError as error:
        return [hint(message_of(error) or ""), shown_image(None)]
    return [hint(STRIP), shown_image(drawn(draw_strip, ladders))]


def _by_experience(settings: Settings, scored: Batch, name: object) -> list[Any]:
    """Return what the model said after each experience, or why that is not known."""
    if name is None or scored.row(name).error:
        return ["", shown_table(None)]
    found = _steps(settings, scored, scored.row(name))
    if found is None:
        return [hint(NO_STEPS), shown_table(None)]
    note = STEPS + (PROBABLE if "class" in found else ON_SCALE)
    note += GATE if "weight" in found else ""
    return [hint(note), shown_table(found)]


def _steps(settings: Settings, batch: Batch, row: Scored) -> pd.DataFrame | None:
    """Return what the model said after each experience, and the weights of its gate; else None."""
    source = batch.model
    path = settings.model_of(source)
    kept = cliqa.results(path).checkpoints if path.is_dir() else {}
    said = {}
    for label, checkpoint in kept.items():
        with loaded(settings).model(source, checkpoint) as opened:
            known = batch.dataset if batch.dataset in opened.scales else None
            (found,) = score_files(opened, [row.path], known)
        said[label.removeprefix("after ")] = (
            f"{found.label} ({number(found.value, 2)})" if found.label else number(found.value)
        )
    with loaded(settings).model(source) as opened:
        views = opened.views(row.path) if path.is_dir() else pd.DataFrame()
    weights = {view["view"]: view["weight"] for _, view in views.iterrows()}
    own = {view["view"]: view.get("score", view.get("class")) for _, view in views.iterrows()}
    names = list(dict.fromkeys([*said, *weights]))
    if not names:
        return None
    what = "class" if row.label else "score"
    table_ = pd.DataFrame({"after": names, what: [said.get(name, "not kept") for name in names]})
    if weights:
        shown = [own.get(name) for name in names]
        table_["view alone"] = [v if isinstance(v, str) else number(v) for v in shown]
        table_["weight"] = [number(weights.get(name), 2) for name in names]
    return table_
