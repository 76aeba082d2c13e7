"""The queue of runs, and one of them as it learns."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

import cliqa
from cliqa.app.errors import short_paths
from cliqa.app.figures import drawn
from cliqa.app.parts import after, figure, hint, on, page_load, shown_image
from cliqa.app.queue.job import (
    ALIVE,
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    STOPPING,
    UNFINISHED,
    WAITING,
    Job,
)
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.progress import Progress, progress_of
from cliqa.app.queue.ready import resume_checked
from cliqa.evaluation.records.results import main_measure
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.history import draw_history, load_metrics
from cliqa.visualization.matrix import draw_matrix

SECONDS = 2
"""How often the queue is looked at."""

EMPTY = (
    "Nothing is in the queue. Put a run together and press Train. It learns in a process of its "
    "own: you can close this page, and even the server, and come back."
)
WORDS = {
    WAITING: "It starts when the runs before it have ended.",
    STOPPING: "It is writing a checkpoint. Press Stop again to end it at once, which loses what it "
    "learnt since the last one.",
    STOPPED: "Resume goes on where it stopped.",
    FINISHED: "Its scores are in the tab Look, and the tab Score loads it.",
}
NOTHING = Progress(None, "", "")
STARTING = "It is starting: libraries and data are loaded."
SEARCHING = "Its model is written, measured and pruned as you asked for."


def queue_panel(jobs: Jobs, added: gr.State) -> None:
    """Add the panel; a run whose name comes into `added` is shown."""
    chosen = gr.Radio([], label="Queue, the newest first", elem_id="train-queue", visible=False)
    state = gr.HTML(elem_id="train-state")
    with gr.Row():
        stop = gr.Button("Stop", interactive=False, min_width=80, elem_id="train-stop")
        resume = gr.Button("Resume", interactive=False, min_width=80, elem_id="train-resume")
        remove = gr.Button(
            "Remove from the list", interactive=False, min_width=120, elem_id="train-remove"
        )
    with gr.Row():
        with gr.Column(min_width=420):
            matrix = figure("Score after each data set", elem_id="train-matrix")
        with gr.Column(min_width=420):
            curves = figure("Loss and scores by epoch", elem_id="train-curves")
    with gr.Accordion("Output", open=False):
        log = gr.Textbox(
            show_label=False,
            lines=12,
            max_lines=12,
            interactive=False,
            autoscroll=True,
            elem_id="train-log",
        )
    stamp = gr.State("")  # changes when the figures have to be drawn anew
    timer = gr.Timer(SECONDS)
    buttons = [stop, resume, remove]

    def look(name: object) -> list[Any]:
        every = {job.name: (job, state, _progress(jobs, job)) for job, state in jobs.states()}
        labels = [(_label(*row), key) for key, row in reversed(every.items())]
        queue = gr.Radio(labels, visible=bool(every))
        if not isinstance(name, str) or name not in every:
            off = [gr.Button(interactive=False)] * len(buttons)
            text = EMPTY if not every else "Choose a run of the queue."
            return [queue, hint(text), "", "", *off]
        shown, now, rows = every[name]
        able = (
            now in UNFINISHED,
            now in (STOPPED, FAILED),
            now in (WAITING, STOPPED, FAILED, FINISHED),
        )
        return [
            queue,
            described(jobs, shown, now, rows),
            short_paths("\n".join(jobs.log_of(shown))),
            f"{shown.name}|{rows.stamp}",
            *(gr.Button(interactive=each) for each in able),
        ]

    def draw(name: object) -> list[Any]:
        shown = next((job for job in jobs.all() if job.name == name), None)
        if shown is None or shown.search is not None:
            return [shown_image(None), shown_image(None)]
        folder = jobs.folder_of(shown)
        rows = [row for row in load_metrics(folder) if row.get("kind") == "epoch"]
        try:
            content = cliqa.results(folder).content
        except ArtifactError:  # none before the first experience ends
            content = None
        matrix = drawn(draw_matrix, content, main_measure(content)) if content else None
        return [shown_image(matrix), shown_image(drawn(draw_history, rows) if rows else None)]

    def first() -> gr.Radio:
        """Choose what trains now, else the newest: whoever comes back need not look for it."""
        every = jobs.states()[::-1]
        names = [job.name for job, _ in every]
        now = [job.name for job, state in every if state in ALIVE]
        return gr.Radio(names, value=next(iter([*now, *names]), None), visible=bool(every))

    def choose(name: object) -> gr.Radio:
        """Choose the run that was added; its choice must be there before."""
        return gr.Radio([job.name for job in jobs.all()], value=str(name), visible=True)

    def go_on(name: object) -> None:
        resume_checked(jobs, name)

    def forget(name: object) -> gr.Radio:
        jobs.remove(name)
        return gr.Radio(value=None)

    shown = [state, log, stamp, *buttons]
    on(page_load(), lambda: _welcome(jobs), [], [state], quiet=True)
    on(page_load(), first, [], [chosen], quiet=True)  # then the choice changes
    on([timer.tick, chosen.change], look, [chosen], [chosen, *shown], quiet=True)
    on(stamp.change, draw, [chosen], [matrix, curves], quiet=True)
    on(added.change, choose, [added], [chosen], quiet=True)
    stopped = on(stop.click, jobs.stop, [chosen], [])
    resumed = on(resume.click, go_on, [chosen], [])
    after(stopped, look, [chosen], [chosen, *shown])
    after(resumed, look, [chosen], [chosen, *shown])
    on(remove.click, forget, [chosen], [chosen])


def _progress(jobs: Jobs, job: Job) -> Progress:
    """Return how far a run is; of a search nobody knows."""
    if job.search is not None:
        return NOTHING
    return progress_of(jobs.folder_of(job), jobs.config_file(job))


def _label(job: Job, state: str, progress: Progress) -> str:
    """Return a run in a few words."""
    share = f", {progress.share:.0%}" if progress.share and state != FINISHED else ""
    score = f", {progress.measure} {progress.score:.3f}" if progress.score is not None else ""
    return f"{job.name}: {state}{share}{score if state == FINISHED else ''}"


def described(jobs: Jobs, job: Job, state: str, progress: Progress | None = None) -> str:
    """Return what a job is doing as HTML."""
    name = html.escape(job.name)
    if state == FAILED:
        lines = "<br>".join(map(html.escape, short_paths(jobs.reason_of(job)).splitlines()))
        return f"<p class='fault'><b>{name} failed.</b> {lines}</p>"
    words = WORDS.get(state) or (progress.words if progress else "") or STARTING
    if job.search is not None and state in (RUNNING, FINISHED):
        words = SEARCHING if state == RUNNING else "Its table is in the tab Compress."
    bar = ""
    if state in ALIVE and progress is not None and progress.share is not None:
        bar = f"<div class='bar'><div style='width:{progress.share:.1%}'></div></div>"
    return f"<p><b>{name}: {state}.</b></p>{hint(words)}{bar}"


def _welcome(jobs: Jobs) -> Any:  # noqa: ANN401  text, or gradio's mark for none
    """Return how to begin, where nothing is in the queue."""
    return gr.skip() if jobs.all() else hint(EMPTY)
