"""The page of all config keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from docstrings import argument_rows, code, entries_of, table, text_of

from cliqa.benchmarks.online import OnlineStream
from cliqa.benchmarks.presets import PRESETS
from cliqa.config.sections import SECTIONS
from cliqa.deploy.search.options import DeployOptions
from cliqa.engine.pretrain.check import BY_ENGINE, PARTS, Source
from cliqa.engine.sections import OPTIONS, TEMPLATE, resamples, with_command_line
from cliqa.models.weights import start
from cliqa.pretraining.pretrainer import Pretrainer
from cliqa.registry import STRATEGIES
from cliqa.training.loop.options import TrainingOptions


def config_page() -> str:
    """Return the page of all config keys that no component's page explains."""
    defaults = top_level_defaults()
    rows = [
        (f"`{name}`", expected(section.check), defaults.get(name, "not set"), section.description)
        for name, section in SECTIONS.items()
    ]
    parts = [
        "# Config keys",
        "Written from the code. Keys with `dict(type=...)` take the arguments of the component "
        "that `type` names: see the pages under *Components*. "
        "`python tools/print_config.py CONFIG --check` shows and checks a config of yours.",
        "## Top level",
        table(("key", "type", "default", "meaning"), rows),
    ]
    for title, about, rows_of in sections():
        body = table(("key", "type", "default", "meaning"), rows_of)
        parts += [f"## {title}", about, body]
    return "\n\n".join(parts) + "\n"


def expected(check: Callable[[Any], str | None]) -> str:
    """Return what a section's check expects, in its own words."""
    text = re.sub(r" \(this machine has .*\)", "", str(check(object())))
    return text.replace("dict(...)", "`dict(...)`")


def top_level_defaults() -> dict[str, str]:
    """Return the defaults of the top level."""
    run = with_command_line({})
    needed = dict.fromkeys(("scenario", "model", "cl_strategy"), "required")
    return {
        **needed,
        "seed": code(run["seed"]),
        "amp": code(run["amp"]),
        "num_workers": code(TrainingOptions().num_workers),
        "evaluation": f"`dict(bootstrap={resamples({})})`",
        "checkpoint_config": "`dict(interval=None, every=1)`: the end of every experience is kept",
        "figures": "`True`",
        "work_dir": "`work_dirs/<config name>`",
    }


def sections() -> Iterator[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Yield title, explanation and keys of each section that is more than one component."""
    streams = ", ".join(f"`{name}` ({', '.join(sets)})" for name, sets in PRESETS.items())
    yield "scenario", "Beside the keys of the stream that `type` names.", [
        ("`type`", "a string", "required", "the stream"),
        ("`dataset_root`", "a path", "`'.'`", "folder that the data sets' `root` is below"),
        ("`datasets`", "list of `dict(type=...)` or a string", "required for scores",
         f"data sets, or the name of a stream: {streams}"),
        ("`evaluate_only`", "list of `dict(type=...)`", "`[]`",
         "data sets of scores that are tested and never trained on"),
        ("`online`", "`dict(chunk_size=...)`", "not set", "images arrive in chunks; see below"),
        ("`generate`", "`dict(type=...)`", "not set", "paint the data first: a generator"),
        ("`train_transform`, `eval_transform`", "list of `dict(type=...)`", "required",
         "image transforms, in order"),
    ]  # fmt: skip
    yield "scenario.online", text_of(OnlineStream), list(argument_rows(OnlineStream))
    naive = {row[0].strip("`"): row for row in argument_rows(STRATEGIES.get("Naive"))}
    options = {row[0].strip("`"): row for row in argument_rows(TrainingOptions)}
    parts = [
        ("`type`", "a string", "required", "a strategy, or a plugin that stands for Naive with it"),
        ("`optimizer`", "`dict(type=...)`", "required", "the optimizer; `paramwise=[dict(match="
         "'backbone', lr_mult=0.1)]` gives named parts a rate of their own"),
        ("`scheduler`", "`dict(type=...)`", "not set", "the learning rate within an experience"),
        ("`loss`", "`dict(type=...)`", "required", "the task's loss"),
        ("`plugins`", "list of `dict(type=...)`", "`[]`", "further methods and helpers"),
    ]  # fmt: skip
    common = [
        (naive[key][0], naive[key][1] or TYPES.get(key, ""), naive[key][2], MEANINGS[key])
        for key in TEMPLATE
    ]
    yield "cl_strategy", "Beside the arguments of what `type` names.", [
        *parts, *common, *(options[name] for name in OPTIONS)
    ]  # fmt: skip
    away = BY_ENGINE["training"]
    parts = [
        ("`data`", "`dict(...)`", "`dict()`", "the images and their degradations; see below"),
        ("`loss`", "`dict(type=...)`", "`dict(type='QualiCLIPLoss')`", "one of QualiCLIP's losses"),
        ("`anchors`", "`dict(...)`", "`dict()`", "the good and the bad anchor; see below"),
        ("`projection`", "`dict(...)`", "`dict()`", "from features to the anchors; see below"),
    ]
    own = list(argument_rows(Pretrainer, away))
    yield "pretrain", "In place of a stream.", [*parts, *own]
    for name, part in PARTS.items():
        own = list(argument_rows(part, (*BY_ENGINE.get(name, ()), "images")))
        more = list(argument_rows(Source)) if name == "data" else []
        yield f"pretrain.{name}", text_of(part), [*more, *own]
    rows = list(argument_rows(start.StartOptions))
    source = entries_of(start.start_from).get("source", "")
    meanings = dict(re.findall(r"\* ``(\w+)``: (.*?)(?= \* ``|$)", source))
    rows = [(n, t, d, m or meanings.get(n.strip("`"), "")) for n, t, d, m in rows]
    yield "load_from", "Where it is a dict; a path alone stands for `dict(path=...)`.", rows
    yield "deploy", text_of(DeployOptions), list(argument_rows(DeployOptions))


TYPES = {"eval_every": "an integer", "peval_mode": "'epoch' or 'iteration'"}
MEANINGS = {
    "train_mb_size": "images per training batch",
    "train_epochs": "epochs per experience",
    "eval_mb_size": "images per evaluation batch",
    "eval_every": "evaluate every so many epochs or iterations; -1: only at an experience's end",
    "peval_mode": "what `eval_every` counts: `'epoch'` or `'iteration'`",
}
"""What Avalanche's arguments are and mean, which its docstrings tell in other places."""
