"""The sections of a config: their names and values, and checks of top-level names."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cliqa.config.annotations import as_flag
from cliqa.config.inheritance import ConfigFile, check_overrides, whole_config
from cliqa.config.mmlab.keys import translate
from cliqa.config.mmlab.translation import as_dict
from cliqa.config.suggest import closest, nearest
from cliqa.config.text import BASE
from cliqa.config.value_checks import (
    A_DICT,
    DICTS,
    EVERY,
    FLAG,
    PRECISION,
    TEXT,
    TEXT_OR_DICT,
    TEXTS,
    Check,
    integer,
    or_none,
)
from cliqa.config.values import walk
from cliqa.utils.device import config_workers_mistake
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger


@dataclass(frozen=True)
class Section:
    """A section of a config.

    Args:
        description: Its purpose, in a line.
        check: The check of its value.
        base: The folder of bases that set it, if every config needs the section.
        keys: Checks of its keys, if they are not a component's arguments.
    """

    description: str
    check: Check
    base: str = ""
    keys: Mapping[str, Check] = field(default_factory=dict)


SECTIONS: dict[str, Section] = {
    "scenario": Section("the stream: data sets, order, transforms", A_DICT, "_base_/datasets/"),
    "model": Section("the network: backbone, neck, head", A_DICT, "_base_/models/"),
    "cl_strategy": Section(
        "strategy, plugins, optimizer, scheduler, loss, batch size, epochs",
        A_DICT,
        "_base_/schedules/",
    ),
    "pretrain": Section(
        "pretraining without scores instead of a stream: data, loss, anchors, epochs", A_DICT
    ),
    "metrics": Section("Avalanche metrics, computed during training", DICTS),
    "loggers": Section("Avalanche loggers, which write the metrics", DICTS),
    "train_pipeline": Section("image transforms for scenario.train_transform", DICTS),
    "test_pipeline": Section("image transforms for scenario.eval_transform", DICTS),
    "evaluation": Section(
        "evaluation: resamples of the confidence intervals (bootstrap; 0: none)",
        A_DICT,
        keys={"bootstrap": integer(0)},
    ),
    "checkpoint_config": Section(
        "how often the state is written to resume from (every), and kept beside the end of "
        "experiences: every interval-th epoch, the newest `keep` of them",
        A_DICT,
        keys={
            **dict.fromkeys(("interval", "keep"), or_none(integer(1))),
            "every": or_none(EVERY),
        },
    ),
    "load_from": Section(
        "initial weights of the model, with dropped and frozen parameters",
        or_none(TEXT_OR_DICT),
    ),
    "deploy": Section(
        "compression after training: target, budget, prunings, backends, epochs", A_DICT
    ),
    "work_dir": Section("the output folder of a run", or_none(TEXT)),
    "seed": Section("seed of all randomness", or_none(integer(0))),
    "deterministic": Section(
        "on a GPU, only operations that give the same bits every time; others are an error", FLAG
    ),
    "cudnn_benchmark": Section(
        "on a GPU, time cuDNN's algorithms and take the fastest: other bits every time", FLAG
    ),
    "auto_scale_lr": Section(
        "scale the learning rates by the batch size, as in mmengine: base_batch_size, enable",
        or_none(A_DICT),
        keys={"base_batch_size": integer(1), "enable": FLAG},
    ),
    "amp": Section("mixed precision training: True, or the name of a type", PRECISION),
    "num_workers": Section("processes that load images, or 'auto'", config_workers_mistake),
    "figures": Section("draw the figures at a run's end; cliqa visualize can later", FLAG),
    "progress_seconds": Section(
        "seconds of silence after which a run writes a line of its progress; 0: none", integer(0)
    ),
    "custom_imports": Section(
        "your modules to import first, so that their components are registered",
        or_none(A_DICT),
        keys={"imports": TEXTS, "allow_failed_imports": FLAG},
    ),
}
"""Every top-level key of a config."""

ELSEWHERE = {
    **dict.fromkeys(("strategy", "plugins", "optimizer", "scheduler", "loss"), "cl_strategy.{}"),
    **dict.fromkeys(("train_epochs", "train_mb_size", "eval_mb_size"), "cl_strategy.{}"),
    **dict.fromkeys(("eval_every", "patience", "min_delta", "keep_best"), "cl_strategy.{}"),
    **dict.fromkeys(("accumulate", "clip_grad_norm", "validate_every"), "cl_strategy.{}"),
    "reset_optimizer": "cl_strategy.{}",
    **dict.fromkeys(("backbone", "neck", "head", "text_encoder"), "model.{}"),
    **dict.fromkeys(("datasets", "train_transform", "eval_transform"), "scenario.{}"),
    **dict.fromkeys(("dataset_root", "patches_per_image", "evaluate_only"), "scenario.{}"),
    "optimizer_config": "cl_strategy.optimizer",
    "lr_config": "cl_strategy.scheduler",
    **dict.fromkeys(("checkpoint", "checkpoint_interval"), "checkpoint_config"),
    "bootstrap": "evaluation.{}",
}
"""Names of ours and of Avalanche that are no sections; mmengine's are in `cliqa.config.mmlab`."""

DATA = (str, int, float, dict, list, tuple, type(None))
COPIES = {
    "train_pipeline": "scenario.train_transform",
    "test_pipeline": "scenario.eval_transform",
}
"""Sections that a config file copies into another key, so that later changes have no effect."""
SIMILAR = 0.75
"""Unused names at least as similar to a section (difflib's ratio) are misspelt sections."""


def with_flags(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with words for True and False converted, where a key takes them.

    Args:
        config: The sections; they are not changed.
    """
    found = dict(config)
    for name, section in SECTIONS.items():
        if name in found and section.check in (FLAG, PRECISION):
            found[name] = as_flag(found[name])
        flags = [key for key, check in section.keys.items() if check is FLAG]
        for key in flags if isinstance(found.get(name), dict) else ():
            if key in found[name]:
                found[name] = {**found[name], key: as_flag(found[name][key])}
    return found


def check_sections(config: Mapping[str, Any], where: str) -> None:
    """Check that a config has the required sections, and their values.

    Args:
        config: Sections of plain values.
        where: The config's file, for the error message.

    Raises:
        ConfigError: A section is missing, has a wrong value, or an unknown key.
    """
    mistakes: list[str] = []
    for name, section in SECTIONS.items():
        if name in config:
            mistakes += _section_mistakes(name, section, config[name], where)
        elif section.base and (name == "model" or "pretrain" not in config):
            mistakes.append(
                f"{where}: no section '{name}' ({section.description}). Write {name} = dict(...), "
                f"or inherit it from a file of {section.base}: _base_ = ['{section.base}...py']."
            )
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    if config.get("deterministic") and config.get("cudnn_benchmark"):
        raise ConfigError(
            f"{where}: deterministic and cudnn_benchmark are both set, and the algorithms that "
            "benchmarks choose change from run to run. Keep one."
        )
    for path, key, _ in walk(config):
        if re.fullmatch(r"_+del\w*|del\w*_+", str(key)):
            raise ConfigError(f"{where}: {path}: to replace an inherited dict write _delete_=True.")


def _section_mistakes(name: str, section: Section, value: object, where: str) -> Iterator[str]:
    """Yield what is wrong with one section's value, and its keys if they are known."""
    checks = {name: section.check}
    values = {name: value}
    if section.keys and isinstance(value, dict):
        checks |= {f"{name}.{key}": check for key, check in section.keys.items()}
        values |= {f"{name}.{key}": item for key, item in value.items()}
    for path, item in values.items():
        if path not in checks:
            near = closest(path.partition(".")[2], section.keys)
            yield f"{where}: {path}: unknown key.{near} {name} has {', '.join(section.keys)}."
        elif expected := checks[path](item):
            yield f"{where}: {path}: expected {expected}, got {reprlib.repr(item)}."


def check_top_level(values: Mapping[str, Any], file: ConfigFile) -> None:
    """Refuse misspelt or unknown sections, and variables without effect.

    mmengine's keys are refused with ours. Other names are variables (``batch_size = 64``): they
    pass if a file of the chain reads them, or if they do not look like a section.

    Args:
        values: The values that the files set, by name.
        file: The config file with its bases.

    Raises:
        ConfigError: A name is a misspelt or unknown section, mmengine's, or a variable that is set
            after its use.
    """
    used = {name for part in file.chain() for name in {*part.used, *part.used_of_bases}}
    for part in file.chain():
        for name in part.assigned:
            if name.startswith("__") and nearest(name, [BASE], SIMILAR):  # mmengine ignores these
                raise ConfigError(f"{_place(name, file)}: unknown name. Did you mean '{BASE}'?")
    mistakes = []
    for name, value in values.items():
        if name not in used and isinstance(value, DATA):
            try:
                _check_unused(name, values, file)
            except ConfigError as error:
                mistakes.append(whole_config(name, file) or str(error))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))
    check_overrides(file, set(SECTIONS) - set(COPIES))


def _check_unused(name: str, values: Mapping[str, Any], file: ConfigFile) -> None:
    """Refuse an unused name that can only be a mistake; warn of others."""
    value, place = values[name], _place(name, file)
    if name in SECTIONS:
        key = COPIES.get(name, "").partition(".")[2]
        scenario = as_dict(values.get("scenario"))
        if key in scenario and value != scenario[key]:
            raise ConfigError(f"{place}: not used, as scenario.{key} is set. Change that key.")
        return
    if advice := misplaced(name, value):
        raise ConfigError(f"{place}: {advice}")
    near = nearest(name, [*SECTIONS, BASE], SIMILAR)
    if near:
        raise ConfigError(f"{place}: unknown section. Did you mean '{near}'?")
    if any(key == "type" for _, key, _ in walk(value)):
        raise ConfigError(
            f"{place}: unknown section, and not used. Sections: {', '.join(SECTIONS)}."
        )
    if name in file.assigned:
        sections = {key: values[key] for key in SECTIONS if key in values}
        leaf = next((path for path, key, _ in walk(sections) if key == name), None)
        hint = f" Did you mean {leaf}?" if leaf else ""
        get_logger(__name__).warning("%s: not a section, and not used.%s", place, hint)


def misplaced(name: str, value: object) -> str:
    """Return what to write for a key that belongs elsewhere or to mmengine; nothing for others."""
    if name in ELSEWHERE:
        return f"'{name}' is not a top-level key; move it to {ELSEWHERE[name].format(name)}."
    translation = translate(name, value)
    return "" if translation is None else f"is a key of mmengine, not of cliqa. {translation}"


def _place(name: str, file: ConfigFile) -> str:
    """Return the file and line where a name is set, for an error message."""
    for part in file.chain():
        if name in part.assigned:
            return f"{part.path}, line {part.assigned[name]}: {name}"
    return f"{file.path}: {name}"
