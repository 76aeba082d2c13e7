"""Panel of what one run has cost: time, memory, and the size of its network."""

from __future__ import annotations

import math
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


def cost_panel(settings: Settings, run: gr.Dropdown, stamp: gr.State) -> None:
    """Add the panel; it is filled anew when the stamp changes."""
    size = gr.HTML(elem_id="look-size")
    costs = table("By experience", elem_id="look-costs")

    def show(name: object) -> list[Any]:
        if name is None:
            return ["", shown_table(None)]
        found = cliqa.results(settings.path_of(name)).costs
        total = found["train_seconds"].sum(min_count=1)
        pairs = {"Training": "n/a" if math.isnan(total) else f"{total:,.1f} s in all"}
        try:
            with loaded(settings).model(name) as model:
                pairs["Parameters"] = f"{model.parameters:,}"
        except CliqaError as error:  # no checkpoint is kept, or it is not of images
            pairs["Parameters"] = f"n/a ({message_of(error)})"
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
