"""The sections of a config: their names, what they hold, and what is none."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cliqa.config.flags import as_flag
from cliqa.config.suggest import closest
from cliqa.utils.device import workers_mistake
from cliqa.utils.errors import ConfigError

Check = Callable[[Any], "str | None"]
"""Returns what was expected where a value does not fit, and None where it does."""


def _a_dict(value: Any) -> str | None:  # noqa: ANN401
    return None if isinstance(value, dict) else "dict(...)"


def _dicts(value: Any) -> str | None:  # noqa: ANN401
    fits = isinstance(value, (list, tuple)) and all(isinstance(item, dict) for item in value)
    return None if fits else "a list of dict(type='...')"


def _text(value: Any) -> str | None:  # noqa: ANN401
    return None if isinstance(value, str) and value else "a string"


def _text_or_dict(value: Any) -> str | None:  # noqa: ANN401
    return None if isinstance(value, dict) or _text(value) is None else "a path or dict(path=...)"


def _texts(value: Any) -> str | None:  # noqa: ANN401
    fits = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    return None if fits else "a list of strings"


def _flag(value: Any) -> str | None:  # noqa: ANN401
    return None if isinstance(value, bool) else "true or false"


def _precision(value: Any) -> str | None:  # noqa: ANN401
    fits = isinstance(value, bool) or value in ("bfloat16", "float16")
    return None if fits else "true, false, 'bfloat16' or 'float16'"


def _integer(least: int) -> Check:
    def check(value: Any) -> str | None:  # noqa: ANN401
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if fits else f"an integer >= {least}"

    return check


def _or_none(check: Check) -> Check:
    def optional(value: Any) -> str | None:  # noqa: ANN401
        expected = None if value is None else check(value)
        return expected and f"{expected} or None"

    return optional


@dataclass(frozen=True)
class Section:
    """A section of a config.

    Args:
        description: What it is for, in a line.
        check: What its value must be.
        base: The folder of bases that set it, where every config needs the section.
        keys: Its keys with their checks, where no component's signature tells them.
    """

    description: str
    check: Check
    base: str = ""
    keys: Mapping[str, Check] = field(default_factory=dict)


SECTIONS: dict[str, Section] = {
    "scenario": Section("the stream: data sets, order, transforms", _a_dict, "_base_/datasets/"),
    "model": Section("the network: backbone, neck, head", _a_dict, "_base_/models/"),
    "cl_strategy": Section(
        "how it learns: strategy, plugins, optimizer, scheduler, loss, batch size, epochs",
        _a_dict,
        "_base_/schedules/",
    ),
    "pretrain": Section(
        "pretraining without scores in place of a stream: data, loss, anchors, epochs", _a_dict
    ),
    "metrics": Section("Avalanche metrics, computed while it runs", _dicts),
    "loggers": Section("Avalanche loggers, where metrics are written to", _dicts),
    "train_pipeline": Section("image transforms that scenario.train_transform takes", _dicts),
    "test_pipeline": Section("image transforms that scenario.eval_transform takes", _dicts),
    "evaluation": Section(
        "the measurement: resamples of the confidence intervals (bootstrap; 0: none)",
        _a_dict,
        keys={"bootstrap": _integer(0)},
    ),
    "checkpoint_config": Section(
        "which checkpoints stay beside those of the experiences' ends: every interval-th epoch's",
        _a_dict,
        keys={"interval": _or_none(_integer(1)), "keep": _or_none(_integer(1))},
    ),
    "load_from": Section(
        "a checkpoint whose weights the model starts from, with what is dropped or frozen",
        _or_none(_text_or_dict),
    ),
    "deploy": Section(
        "compressed models at the run's end: target, budget, prunings, backends, epochs", _a_dict
    ),
    "work_dir": Section("the folder that a run writes to", _or_none(_text)),
    "seed": Section("seed of all randomness", _or_none(_integer(0))),
    "amp": Section("train in mixed precision: True, or a type's name", _precision),
    "num_workers": Section("processes that load images", workers_mistake),
    "custom_imports": Section(
        "modules of yours to import first, so that their components are known",
        _or_none(_a_dict),
        keys={"imports": _texts, "allow_failed_imports": _flag},
    ),
}
"""Every top-level name that means something."""

ELSEWHERE = {
    **dict.fromkeys(("strategy", "plugins", "optimizer", "scheduler", "loss"), "cl_strategy.{}"),
    **dict.fromkeys(("train_epochs", "train_mb_size", "eval_mb_size"), "cl_strategy.{}"),
    **dict.fromkeys(("backbone", "neck", "head", "text_encoder"), "model.{}"),
    **dict.fromkeys(("datasets", "train_transform", "eval_transform"), "scenario.{}"),
    **dict.fromkeys(("max_epochs", "epochs", "train_cfg", "runner"), "cl_strategy.train_epochs"),
    **dict.fromkeys(("optim_wrapper", "optimizer_config"), "cl_strategy.optimizer"),
    **dict.fromkeys(("param_scheduler", "lr_config"), "cl_strategy.scheduler"),
    **dict.fromkeys(("default_hooks", "custom_hooks"), "cl_strategy.plugins"),
    **dict.fromkeys(("train_dataloader", "test_dataloader", "data"), "scenario"),
    **dict.fromkeys(("vis_backends", "visualizer", "log_config"), "loggers"),
    **dict.fromkeys(("val_evaluator", "test_evaluator"), "metrics"),
    **dict.fromkeys(("checkpoint", "checkpoint_interval"), "checkpoint_config"),
    **dict.fromkeys(("device", "resume", "deterministic"), "the command line (--{})"),
    "resume_from": "the command line (--resume)",
    "randomness": "seed",
}
"""Names that users of mmlab or Avalanche would write at the top level, and where they belong."""


FLAGS = ("amp", "custom_imports.allow_failed_imports")
"""Keys that are true or false, and that words may say so for."""


def with_flags(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config whose words for True and False are truth values, where the sections know it.

    Args:
        config: The sections; they are left as they are.
    """
    found = dict(config)
    for flag in FLAGS:
        name, _, key = flag.partition(".")
        if not key and name in found:
            found[name] = as_flag(found[name])
        elif isinstance(found.get(name), dict) and key in found[name]:
            found[name] = {**found[name], key: as_flag(found[name][key])}
    return found


def check_sections(config: Mapping[str, Any], where: str) -> None:
    """Check that a config has the sections it needs, and that each holds what it should.

    Args:
        config: Sections of plain values.
        where: The config's file, for the error message.

    Raises:
        ConfigError: A section is missing, is of the wrong kind, or has a key that it must not have.
    """
    for name, section in SECTIONS.items():
        if name in config:
            _check_section(name, section, config[name], where)
        elif section.base and (name == "model" or "pretrain" not in config):
            raise ConfigError(
                f"{where}: no section '{name}' ({section.description}). Write {name} = dict(...), "
                f"or inherit it from a file of {section.base}: _base_ = ['{section.base}...py']."
            )
    for path in _slips_of_delete(config, ""):
        raise ConfigError(f"{where}: {path[1:]}: to replace an inherited dict write _delete_=True.")


def _check_section(name: str, section: Section, value: Any, where: str) -> None:  # noqa: ANN401
    """Check one section's kind, and its keys where it knows them."""
    checks = {name: section.check}
    values = {name: value}
    if section.keys and isinstance(value, dict):
        checks |= {f"{name}.{key}": check for key, check in section.keys.items()}
        values |= {f"{name}.{key}": item for key, item in value.items()}
    for path, item in values.items():
        if path not in checks:
            key = path.partition(".")[2]
            raise ConfigError(
                f"{where}: {path}: unknown key.{closest(key, section.keys)} "
                f"{name} has {', '.join(section.keys)}."
            )
        expected = checks[path](item)
        if expected:
            raise ConfigError(f"{where}: {path}: expected {expected}, got {reprlib.repr(item)}.")


def _slips_of_delete(value: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    """Yield the paths of keys that were meant to be ``_delete_``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if re.fullmatch(r"_+del\w*|del\w*_+", str(key)):
                yield f"{path}.{key}"
            yield from _slips_of_delete(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _slips_of_delete(item, f"{path}.{index}")
