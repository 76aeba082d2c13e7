"""The tab *Compress*: smaller and faster forms of a run's model, measured on this machine."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cliqa.app.errors import short_paths
from cliqa.app.parts import hint, how_to_train, on, opened
from cliqa.app.queue.job import FAILED, FINISHED, UNFINISHED, Job
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.ready import check_search
from cliqa.app.queue.search import BACKENDS, PRECISION_KINDS, PRUNINGS, TARGETS, Search
from cliqa.app.settings import Settings, changed_at, forget_searches
from cliqa.app.tabs.compress_forms import forms_panel
from cliqa.app.tabs.train_queue import described
from cliqa.compress.deployments import can_be_made
from cliqa.evaluation.records.study_deployed import FILE

SECONDS = 2
NO_RUNS = "There is no run yet. {how}."


def compress_tab(settings: Settings) -> None:
    """Add the tab's components to the page."""
    jobs = Jobs(settings.work_dirs)
    nothing = NO_RUNS.format(how=how_to_train(settings))
    stamp = gr.State("")  # changes when there is another table
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            run = gr.Dropdown(settings.runs(), value=None, label="Run", elem_id="compress-run")
            target = gr.Radio(
                list(TARGETS), value="size", label="What counts most", elem_id="compress-target"
            )
            drop = gr.Slider(
                0,
                0.2,
                value=0.02,
                step=0.005,
                label="SRCC or accuracy that may be lost",
                elem_id="compress-drop",
            )
            prunings = gr.CheckboxGroup(
                [(f"{share:.0%}", share) for share in PRUNINGS],
                label="Shares of the channels to prune",
                info="Each is fine-tuned on the run's training data, which takes its time.",
                elem_id="compress-prunings",
            )
            kinds = gr.CheckboxGroup(
                list(PRECISION_KINDS),
                value=list(PRECISION_KINDS),
                label="Precisions",
                elem_id="compress-kinds",
            )
            backends = gr.CheckboxGroup(
                can_be_made(BACKENDS),
                value=can_be_made(BACKENDS[:1]),
                label="Backends",
                elem_id="compress-backends",
            )
            with gr.Row():
                go = gr.Button("Search", variant="primary", min_width=100, elem_id="compress-go")
                stop = gr.Button("Stop", interactive=False, min_width=80, elem_id="compress-stop")
                refresh = gr.Button("Refresh", min_width=80, elem_id="compress-refresh")
            state = gr.HTML(elem_id="compress-state")
        with gr.Column(scale=3, min_width=320):
            forms_panel(settings, run, stamp)
    timer = gr.Timer(SECONDS)

    def list_runs(kept: object) -> gr.Dropdown:
        forget_searches()
        known = settings.runs()
        return gr.Dropdown(known, value=kept if kept in known else next(iter(known), None))

    def begin(name: object, on_target: Any, most: Any, *lists: Any) -> None:  # noqa: ANN401
        folder = settings.path_of(name)
        search = Search(str(name), on_target, most, *(tuple(each or ()) for each in lists))
        check_search(search, folder)
        jobs.add_search(search)

    def end(name: object) -> None:
        for job in jobs.searches_of(name):
            jobs.stop(job.name)

    def look(name: object) -> list[Any]:
        if name is None:
            return [hint(nothing), "", gr.Button(interactive=False)]
        folder = settings.path_of(name)
        changed = [changed_at(folder / FILE.with_suffix(end)) for end in (".json", ".png")]
        job = next(reversed(jobs.searches_of(name)), None)
        now = None if job is None else jobs.state_of(job)
        going = now in UNFINISHED
        text = "" if job is None or now in (None, FINISHED) else _told(jobs, job, now)
        return [text, f"{name}|{changed}", gr.Button(interactive=going)]

    on([*opened(), refresh.click], list_runs, [run], [run], quiet=True)
    on([run.change, timer.tick], look, [run], [state, stamp, stop], quiet=True)
    on(go.click, begin, [run, target, drop, prunings, backends, kinds], [])
    on(stop.click, end, [run], [])


def _told(jobs: Jobs, job: Job, state: str) -> str:
    """Return what a search is doing as HTML, with the last line of its output."""
    last = "" if state == FAILED else hint(short_paths("".join(jobs.log_of(job)[-1:])))
    return described(jobs, job, state) + last
