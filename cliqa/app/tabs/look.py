"""The tab *Look*: what runs and studies have measured."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

import cliqa
from cliqa.api.results import RunResults
from cliqa.app.errors import message_of, short_paths, told
from cliqa.app.parts import hint, how_to_train, on, opened
from cliqa.app.settings import Settings, forget_searches
from cliqa.app.tabs.look_compare import compare_panel
from cliqa.app.tabs.look_cost import cost_panel
from cliqa.app.tabs.look_images import images_panel
from cliqa.app.tabs.look_scores import scores_panel, training_panel
from cliqa.app.tabs.look_studies import studies_panel
from cliqa.utils.errors import ArtifactError

SECONDS = 5
"""How often a run that is going on is looked at."""

NO_RUNS = "There is no run yet. {how}. It appears here after its first experience."
CHOOSE = "Choose a run."


def look_tab(settings: Settings) -> None:
    """Add the tab's components to the page."""
    listing = opened()
    nothing = NO_RUNS.format(how=how_to_train(settings))
    with gr.Row(elem_classes=["chosen"]):
        run = gr.Dropdown(
            settings.runs(), value=None, label="Run", elem_id="look-run", min_width=200, scale=4
        )
        others = gr.Dropdown(
            settings.runs(),
            value=[],
            multiselect=True,
            label="Compare with",
            elem_id="look-others",
            min_width=200,
            scale=4,
        )
        refresh = gr.Button("Refresh", elem_id="look-refresh", min_width=100, scale=1)
    state = gr.HTML(elem_id="look-state")
    shown: gr.State = gr.State(None)  # the run that the panels show: none that cannot be read
    stamp = gr.State("")  # changes when what is shown has to be drawn anew
    timer = gr.Timer(SECONDS, active=False)
    with gr.Tabs():
        with gr.Tab("Scores"):
            scores_panel(settings, shown, stamp)
        with gr.Tab("Training"):
            training_panel(settings, shown, stamp)
        with gr.Tab("Images"):
            images_panel(settings, shown, stamp)
        with gr.Tab("Cost"):
            cost_panel(settings, shown, stamp)
        with gr.Tab("Compare"):
            compare_panel(settings, shown, others, stamp)
        with gr.Tab("Studies"):
            studies_panel(settings, [*listing, refresh.click])

    def list_runs(chosen: object, compared: Sequence[object]) -> list[Any]:
        forget_searches()
        names = settings.runs()
        kept = chosen if chosen in names else next(iter(names), None)
        also = [name for name in compared or () if name in names]
        return [gr.Dropdown(names, value=kept), gr.Dropdown(names, value=also)]

    def describe(name: object) -> list[Any]:
        if name is None:
            text = CHOOSE if settings.runs() else nothing
            return [hint(text), None, "", gr.Timer(active=False)]
        try:
            found = cliqa.results(settings.path_of(name))
        except ArtifactError as error:  # nothing of the run before may stay as if it were its own
            fault = html.escape(f"{name}: {message_of(error)}")
            return [f"<p class='fault'>{fault}</p>", None, str(name), gr.Timer(active=False)]
        going = gr.Timer(active=found.status == "running")
        return [_described(found), name, f"{name}|{found.changed}", going]

    described = (describe, [run], [state, shown, stamp, timer])
    lists = [run, others]
    listed = on([*listing, refresh.click], list_runs, lists, lists, quiet=True)
    listed.then(told(describe), *described[1:], show_progress="hidden", api_visibility="private")
    # not run.change: the lists' own change of it would draw all of it twice
    on([run.input, timer.tick], *described, quiet=True)


def _described(found: RunResults) -> str:
    """Return a run in a line."""
    content = found.content
    done = len(found.matrix())
    words = {
        "finished": "Finished",
        "running": f"Running, {done} of {len(content['experiences'])} experiences learnt",
        "stopped": f"Stopped after {done} of {len(content['experiences'])} experiences",
    }
    stream = ", ".join(content["experiences"])
    order = "all at once" if content["joint"] else "one after the other"
    parts = [words.get(found.status, found.status), f"learnt {order}: {stream}"]
    parts += [f"`{short_paths(str(content['config']))}`"] if content["config"] else []
    parts += [f"seed {content['seed']}"] if content["seed"] is not None else []
    return hint(" · ".join(parts))
