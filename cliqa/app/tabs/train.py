"""The tab *Train*: put a run together, and follow the queue of runs."""

from __future__ import annotations

import gradio as gr

from cliqa.app.parts import hint
from cliqa.app.queue.choices import streams_of
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.runner import Runner
from cliqa.app.settings import Settings
from cliqa.app.tabs.train_form import form_panel
from cliqa.app.tabs.train_queue import queue_panel

NO_CONFIGS = (
    "There is no config of a stream in the folder that the server was started with. Start it with "
    "`--configs FOLDER`, the folder of your configs."
)


def train_tab(settings: Settings) -> None:
    """Add the tab's components to the page, and begin to train what waits in the queue."""
    streams = streams_of(settings.configs)
    jobs = Jobs(settings.work_dirs)
    Runner(jobs, settings.parallel).begin()
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            if streams:
                added = form_panel(settings, jobs, streams)
            else:
                gr.HTML(hint(NO_CONFIGS))
                added = gr.State(None)
        with gr.Column(scale=3, min_width=320):
            queue_panel(jobs, added)
