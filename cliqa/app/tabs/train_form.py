"""The form of a run: its stream, model, method and what it is compressed to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from cliqa.app.parts import hint, on, page_load
from cliqa.app.queue.choices import Field, Stream, fields_of, methods
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.request import (
    AS_IN_CONFIG,
    MOST_PRUNED,
    NO_QUANTIZATION,
    QUANTIZATION,
    Request,
    config_of,
)
from cliqa.app.settings import Settings
from cliqa.benchmarks.data_check import check_data
from cliqa.config.values import format_config
from cliqa.utils.errors import ConfigError

MOST_RANK = 64
DEFAULT_METHOD = "Replay"


def form_panel(settings: Settings, jobs: Jobs, streams: Mapping[str, Stream]) -> gr.State:
    """Add the form; the state that is returned holds the name of the run that was added last."""
    first = next(iter(streams))
    stream = gr.Dropdown(
        list(streams),
        value=first,
        info=streams[first].text,
        label="Stream of data sets",
        elem_id="train-stream",
    )
    model = gr.Dropdown(
        list(streams[first].models),
        value=next(iter(streams[first].models)),
        info=next(iter(streams[first].texts.values())),
        label="Model",
        elem_id="train-model",
    )
    method = gr.Dropdown(
        [AS_IN_CONFIG, *methods()], value=DEFAULT_METHOD, label="Method", elem_id="train-method"
    )
    most = max(len(fields_of(name)) for name in methods())
    with gr.Accordion("Arguments of the method", open=False):
        nothing = gr.HTML(visible=False)
        boxes = [gr.Textbox(visible=False, elem_classes=["argument"]) for _ in range(most)]
    with gr.Row():
        epochs = gr.Number(
            label="Epochs (0: the config's)",
            value=0,
            precision=0,
            min_width=90,
            elem_id="train-epochs",
        )
        seed = gr.Number(label="Seed", value=0, precision=0, min_width=90, elem_id="train-seed")
    with gr.Accordion("Adapters and compression", open=False):
        rank = gr.Slider(
            0,
            MOST_RANK,
            value=0,
            step=1,
            label="LoRA: rank of the adapters (0: none)",
            elem_id="train-rank",
        )
        pruned = gr.Slider(
            0,
            MOST_PRUNED,
            value=0,
            step=0.05,
            elem_id="train-pruned",
            label="Share of the channels pruned after the first data set",
        )
        quantization = gr.Dropdown(
            list(QUANTIZATION),
            value=NO_QUANTIZATION,
            label="Smaller file",
            info="Written after the last data set: the smallest one that costs at most 0.01 of "
            "SRCC or accuracy. The tab Compress shows it beside others.",
            elem_id="train-bits",
        )
    name = gr.Textbox(label="Name of the run", elem_id="train-name", max_length=80)
    with gr.Row():
        show = gr.Button("Show the config", min_width=120, elem_id="train-show")
        go = gr.Button("Train", variant="primary", min_width=120, elem_id="train-go")
    text = gr.Code(
        language="python",
        label="The config",
        visible=False,
        interactive=False,
        elem_id="train-config",
        max_lines=30,
        wrap_lines=True,
    )
    added = gr.State(None)
    inputs: list[Any] = [stream, model, method, epochs, seed, rank, pruned, quantization, *boxes]

    def choose_stream(chosen: object) -> list[Any]:
        found = _stream(chosen)
        kept = next(iter(found.models))
        models = gr.Dropdown(list(found.models), value=kept, info=found.texts[kept])
        return [gr.Dropdown(info=found.text), models]

    def choose_model(on_stream: object, chosen: object) -> gr.Dropdown:
        return gr.Dropdown(info=_stream(on_stream).texts.get(str(chosen), ""))

    def _stream(chosen: object) -> Stream:
        if not isinstance(chosen, str) or chosen not in streams:
            raise ConfigError("Choose a stream from the list.")
        return streams[chosen]

    def choose_method(chosen: object) -> list[Any]:
        fields = () if chosen == AS_IN_CONFIG else fields_of(str(chosen))
        shown = [_box(field) for field in fields]
        hidden = [gr.Textbox(value="", visible=False) for _ in range(most - len(fields))]
        none = "" if fields else "There is nothing to set here."
        sentence = methods().get(str(chosen), "The method and the arguments of the config.")
        return [
            gr.Dropdown(info=_marked(sentence)),
            gr.HTML(hint(none), visible=bool(none)),
            *shown,
            *hidden,
        ]

    def propose(on_stream: object, chosen: object) -> gr.Textbox:
        # not its value, which may have been typed meanwhile
        return gr.Textbox(placeholder=_proposal(on_stream, chosen))

    def show_config(*values: Any) -> gr.Code:  # noqa: ANN401
        config = config_of(_request(values), streams)
        return gr.Code(format_config(config), visible=True)

    def outdated() -> gr.Code:
        """Take the config away that was shown: another choice would stand above it."""
        return gr.Code(visible=False)

    def add(called: str | None, *values: Any) -> list[Any]:  # noqa: ANN401
        config = config_of(_request(values), streams)
        check_data(config)  # its turn may come hours later
        wanted = (called or "").strip() or _proposal(values[0], values[2])
        job = jobs.add(wanted, config, settings.device)
        gr.Info(f"{job.name} is in the queue.", duration=4)
        return [job.name, gr.Code(visible=False)]

    on(stream.input, choose_stream, [stream], [stream, model], quiet=True)
    on(model.input, choose_model, [stream, model], [model], quiet=True)
    opened = [page_load(), method.change]
    on(opened, choose_method, [method], [method, nothing, *boxes], quiet=True)
    on([*opened, stream.change], propose, [stream, method], [name], quiet=True)
    on([each.input for each in inputs], outdated, [], [text], quiet=True)
    on(show.click, show_config, inputs, [text])
    on(go.click, add, [name, *inputs], [added, text])
    return added


def _proposal(stream: object, method: object) -> str:
    """Return the name of a run that was given none.

    >>> _proposal("generated_clear", "EWC"), _proposal("koniq", AS_IN_CONFIG)
    ('clear_ewc', 'koniq_own')
    """
    word = str(stream).removeprefix("generated_")
    return f"{word}_{'own' if method == AS_IN_CONFIG else str(method).lower()}"


def _box(field: Field) -> gr.Textbox:
    """Return the field of an argument; left empty, it has its default."""
    kind = " (true or false)" if field.flag else ""
    return gr.Textbox(
        value="",
        label=f"{field.name}{kind}",
        info=_marked(field.text),
        placeholder=_written(field.default),
        visible=True,
    )


def _marked(text: str) -> str:
    """Return a documentation's text as the page marks it: code in single backticks, no stars.

    >>> _marked("Add ``a * b`` to the loss.")
    'Add `a · b` to the loss.'
    >>> "*" in _marked("from theta* and F*")
    False
    """
    return text.replace("``", "`").replace(" * ", " · ").replace("*", "\N{ASTERISK OPERATOR}")


def _written(value: object) -> str:
    """Return a default as it would be typed."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _request(values: tuple[Any, ...]) -> Request:
    """Return what the form's values ask for."""
    stream, model, method, epochs, seed, rank, pruned, quantization, *texts = values
    fields = () if method == AS_IN_CONFIG else fields_of(str(method))
    named = {field.name: text for field, text in zip(fields, texts, strict=False)}
    return Request(
        stream=stream,
        model=model,
        method=method,
        arguments={name: text for name, text in named.items() if text},
        epochs=_whole(epochs, "epochs") or None,
        seed=_whole(seed, "seed"),
        rank=_whole(rank, "rank"),
        pruned=pruned,
        quantization=quantization,
    )


def _whole(value: object, name: str) -> int:
    """Return a number of the page, which has no integers of its own, as an integer; 0 for none.

    Raises:
        ConfigError: It is none.
    """
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, float) or not value.is_integer():
        raise ConfigError(f"{name}: must be an integer.")
    return int(value)
