"""Parts that several tabs are made of: figures, tables, lists, and how events are connected."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import gradio as gr
import numpy as np
import pandas as pd
from gradio.components import Component
from gradio.context import Context
from PIL import Image

from cliqa.app.errors import told
from cliqa.app.settings import Settings
from cliqa.evaluation.records.tables import number
from cliqa.visualization.style import shortened

Trigger = Callable[..., Any]

HOLD = """(...values) => {
  for (const list of IDS.map((id) => document.getElementById(id)).filter(Boolean)) {
    if (list.contains(document.activeElement)) document.activeElement.blur();
    list.fillings = (list.fillings ?? 0) + 1;
    list.inert = true;
  }
  return values;
}"""
"""Close lists, and let nobody open them. Several functions may fill one list at a time."""

RELEASE = """() => {
  for (const list of IDS.map((id) => document.getElementById(id)).filter(Boolean)) {
    list.fillings = Math.max((list.fillings ?? 0) - 1, 0);
    list.inert = list.fillings > 0;
  }
}"""
"""Undo `HOLD`."""

PULSE = 3
"""Seconds after which an answer that was missed is fetched."""


def on(
    triggers: Trigger | Sequence[Trigger],
    function: Callable[..., Any],
    inputs: Sequence[Component],
    outputs: Sequence[Component],
    *,
    quiet: bool = False,
) -> Any:  # noqa: ANN401  gradio's Dependency, for .then
    """Call a function on events; its errors are told (`told`), and it is no public endpoint.

    A list (`gr.Dropdown`) among the outputs cannot be opened until the function has ended: what is
    chosen meanwhile would be lost, and gradio's page fails where an open list gets fewer choices.

    While the function runs, another click does nothing; of other events the last one is not lost.

    Args:
        triggers: Events: ``button.click``, or several.
        function: From the inputs' values to the outputs'.
        inputs: Components.
        outputs: Components.
        quiet: Show no progress over the outputs.

    Raises:
        RuntimeError: A list among the outputs has no ``elem_id``.
    """
    events: Sequence[Any] = triggers if isinstance(triggers, Sequence) else [triggers]
    lists = [part.elem_id for part in outputs if isinstance(part, gr.Dropdown)]
    if None in lists:
        raise RuntimeError("a list that a function fills needs an elem_id, to be held meanwhile")
    done = gr.on(
        triggers,
        told(function),
        list(inputs),
        list(outputs),
        show_progress="hidden" if quiet else "minimal",
        api_visibility="private",
        trigger_mode=_mode([trigger.event_name for trigger in events]),
        js=HOLD.replace("IDS", json.dumps(lists)) if lists else None,
    )
    for ended in (done.success, done.failure) if lists else ():
        ended(None, js=RELEASE.replace("IDS", json.dumps(lists)), api_visibility="private")
    return done


def pulse() -> None:
    """Ask the server for nothing every few seconds, so that no answer is waited for in vain.

    gradio's server ends the connection for answers with the last one, and its page opens another
    when it asks for something and has none. What is asked between the end and the news of it is
    answered over the next connection alone, which a timer that waits for this answer never opens.
    """

    async def nothing() -> None:
        """Return at once; no thread is needed."""

    gr.on(
        [gr.Timer(PULSE).tick],
        nothing,
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="multiple",  # also while the last one is not answered
    )


def _mode(events: Sequence[str]) -> Literal["once", "multiple", "always_last"]:
    """Return what gradio does with an event that comes while the function runs for another.

    It calls again with the inputs as they are then, but with the first event's own data: what was
    selected. So a selection is not put off.

    >>> _mode(["click"]), _mode(["select"]), _mode(["select", "click"]), _mode(["input", "tick"])
    ('once', 'multiple', 'always_last', 'always_last')
    """
    kinds = set(events)
    return "once" if kinds == {"click"} else "multiple" if kinds == {"select"} else "always_last"


def after(
    done: Any,  # noqa: ANN401  gradio's Dependency
    function: Callable[..., Any],
    inputs: Sequence[Component],
    outputs: Sequence[Component],
) -> None:
    """Call a function when what `on` returned has been done, with the values that are there then.

    Args:
        done: What `on` returned.
        function: From the inputs' values to the outputs'.
        inputs: Components.
        outputs: Components.
    """
    done.success(
        told(function),
        list(inputs),
        list(outputs),
        show_progress="hidden",
        api_visibility="private",
    )


def page_load() -> Trigger:
    """Return the event that the page which is being built has been opened in a browser."""
    page = Context.root_block
    if page is None:
        raise RuntimeError("there is no page: call it inside gr.Blocks()")
    load: Trigger = page.load
    return load


def opened() -> list[Trigger]:
    """Return the events after which lists must be as they are on the disk.

    The tab that is being built has been chosen. A page that is opened shows its first tab, which
    nobody has to choose; so does a page without tabs.

    Raises:
        RuntimeError: Neither a page nor a tab is being built.
    """
    tab: Any = Context.block
    while tab is not None and not isinstance(tab, gr.Tab):
        tab = tab.parent
    if tab is None or tab.parent is None:
        return [page_load()]
    return [*([page_load()] if tab.parent.children[0] is tab else []), tab.select]


def how_to_train(settings: Settings) -> str:
    """Return how the first run is made, without a full stop."""
    if settings.read_only:
        return "Train one with `cliqa train cliqa::demo.py`, which takes a minute or two"
    return "Train one in the tab Train"


def figure(label: str, **options: Any) -> gr.Image:  # noqa: ANN401
    """Return a place for a figure, hidden until there is one; see `shown_image`."""
    return gr.Image(
        label=label,
        visible=False,
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_classes=["figure"],
        **options,
    )


def table(label: str, **options: Any) -> gr.Dataframe:  # noqa: ANN401
    """Return a place for a table of text cells, hidden until there is one; see `shown_table`."""
    return gr.Dataframe(
        label=label,
        visible=False,
        interactive=False,
        wrap=True,
        buttons=["copy"],
        elem_classes=["table"],
        datatype="str",
        **options,
    )


def shown_image(image: Image.Image | np.ndarray | None) -> gr.Image:
    """Return an update of a `figure`: it is hidden for None."""
    return gr.Image(image, visible=image is not None)


def shown_table(rows: pd.DataFrame | None) -> gr.Dataframe:
    """Return an update of a `table`: it is hidden for None, and without a row."""
    return gr.Dataframe(rows, visible=rows is not None and len(rows) > 0)


def cells(found: pd.DataFrame, digits: int = 3, index: str | None = None) -> pd.DataFrame:
    """Return a table with its numbers as text; with `index` its index becomes a column so called.

    >>> cells(pd.DataFrame({"srcc": [0.91234, float("nan")]}, index=["a", "b"]), 2, "run")
      run  srcc
    0   a  0.91
    1   b   n/a
    """
    shown = found.copy()
    for name in shown.select_dtypes("float"):
        shown[name] = [number(None if math.isnan(v) else float(v), digits) for v in found[name]]
    if index is not None:
        shown.insert(0, index, found.index)
    return shown.reset_index(drop=True)


def bullets(lines: Iterable[str], most: int = 12) -> str:
    """Return lines as an HTML list; their text is escaped."""
    every = list(lines)
    shown = [f"<li>{html.escape(line)}</li>" for line in every[:most]]
    if len(every) > most:
        shown.append(f"<li>and {len(every) - most} more</li>")
    return f"<ul class='notes'>{''.join(shown)}</ul>" if shown else ""


def note(text: str) -> gr.HTML:
    """Return an update of a place for a `hint`: it is hidden without a text."""
    return gr.HTML(hint(text) if text else "", visible=bool(text))


def facts(pairs: dict[str, str]) -> str:
    """Return names and values as an HTML table of two columns; both are escaped."""
    rows = [
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in pairs.items()
    ]
    return f"<table class='facts'>{''.join(rows)}</table>"


def hint(text: str) -> str:
    """Return a line of advice as HTML; ``code`` in backticks is set as code."""
    parts = html.escape(text, quote=False).split("`")
    inner = "".join(f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(parts))
    return f"<p class='hint'>{inner}</p>"


def short_names(names: Sequence[str], length: int = 28) -> list[str]:
    """Return names that a figure has room for, still all different."""
    shown = [shortened(name, length) for name in names]
    return shown if len(set(shown)) == len(shown) else list(names)
