"""Panel of what one run has cost: time, memory, and the size of its network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import pandas as pd

import cliqa
from cliqa.app.errors import message_of
from cliqa.app.loaded import loaded
from cliqa.app.parts import cells, facts, hint, on, shown_table, table
from cliqa.app.settings import Settings
from cliqa.utils.errors import CliqaError

MIB = 2**20

MEANINGS = (
    "Memory in use is the highest so far in the whole process, on a GPU what PyTorch held there. "
    "What is kept is the weights and all that the method stores for later experiences."
)


def cost_panel(settings: Settings, run: gr.State, stamp: gr.State) -> None:
    """Add the panel; it is filled anew when the stamp changes."""
    size = gr.HTML(elem_id="look-size")
    costs = table("By experience", elem_id="look-costs")

    def show(name: object) -> list[Any]:
        if name is None:
            return ["", shown_table(None)]
        results = cliqa.results(settings.path_of(name))
        found = results.costs
        total = found["train_seconds"].sum(min_count=1)
        pairs = {"Training": "n/a" if math.isnan(total) else f"{total:,.1f} s in all"}
        pairs["Parameters"] = _parameters(settings, name, results.content["parameters"])
        shown = pd.DataFrame(
            {
                "training, s": found["train_seconds"],
                "evaluation, s": found["eval_seconds"],
                "memory in use, MiB": found["peak_bytes"] / MIB,
                "kept, MiB": found["kept_bytes"] / MIB,
            }
        )
        return [facts(pairs) + hint(MEANINGS), shown_table(cells(shown, 1, "experience"))]

    on(stamp.change, show, [run], [size, costs])


def _parameters(settings: Settings, name: object, counted: Mapping[str, Sequence[int]]) -> str:
    """Return how many parameters a run's network has, and how many it trained in the end."""
    if counted.get("all") and counted.get("trained"):
        every, trained = counted["all"][-1], counted["trained"][-1]
        return f"{every:,}, of which the last experience trained {trained:,}"
    if name not in settings.models():
        return "n/a (no checkpoint is kept)"
    try:
        with loaded(settings).model(name) as model:
            return f"{model.parameters:,}"
    except CliqaError as error:  # it is not of images
        return f"n/a ({message_of(error)})"
