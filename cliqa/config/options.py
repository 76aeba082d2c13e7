"""Options of the command line: ``--cfg-options cl_strategy.optimizer.lr=1e-3``."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Sequence
from typing import Any

from cliqa.config.option_values import kind_of, parse_value
from cliqa.config.section_keys import keys_of
from cliqa.config.sections import COPIES, SECTIONS, misplaced
from cliqa.config.suggest import closest, misspelt, nearest
from cliqa.config.values import Value, flatten, plain
from cliqa.utils.errors import ConfigError

ABSENT = object()


def apply_options(
    config: dict[str, Any], options: Sequence[str], variables: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a config with options of the form ``key.sub=value`` applied.

    Items of lists have their index as key (``loggers.0.file=a.log``). A new key is allowed in a
    component's section (a dict with a ``type``): its arguments are checked later.

    Args:
        config: Sections of plain values; not changed.
        options: The options in order; later ones take precedence.
        variables: Names that the config file sets and that are not sections.

    Raises:
        ConfigError: An option has no ``=`` or an unknown key, or replaces a section by a scalar.
    """
    config = copy.deepcopy(config)
    mistakes = []
    for option in options:
        try:
            _apply(config, option, variables)
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return config


def _apply(config: dict[str, Any], option: str, variables: Sequence[str]) -> None:
    """Set one key of `config`."""
    key, equals, text = option.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError(
            f"--cfg-options {option}: expected KEY=VALUE, such as cl_strategy.optimizer.lr=0.01"
            " (no spaces around '=')."
        )
    where = f"--cfg-options {key}"
    first, *rest = key.split(".")
    if first not in SECTIONS:
        raise ConfigError(f"{where}: {_no_section(key, text, config, variables)}")
    if is_copied(first, config):
        target = ".".join([COPIES[first], *rest])
        raise ConfigError(
            f"{where}: has no effect, the config file has already copied it. Use {target}=..."
        )
    if rest:
        _add_section(config, key, where)
    owner: Any = config
    steps = key.split(".")
    for depth, step in enumerate(steps[:-1]):
        owner = _child(owner, step, steps[:depth], where, last=False)
    old = _child(owner, steps[-1], steps[:-1], where, last=True)
    new = parse_value(text, old, where, kind_of(config, key))
    _check_kind(old, new, key, where)
    merged = plain(_merge(old, new), where, len(steps) - 1)
    if isinstance(owner, list):
        owner[int(steps[-1])] = merged
    else:
        owner[steps[-1]] = merged


def is_copied(name: str, config: dict[str, Any]) -> bool:
    """Return whether a section was copied into another key, which is used instead."""
    scenario = config.get("scenario")
    copied = name in COPIES and isinstance(scenario, dict)
    return copied and COPIES[name].partition(".")[2] in (scenario or {})


def _add_section(config: dict[str, Any], key: str, where: str) -> None:
    """Add the sections above a key that the config lacks, if their keys are known."""
    steps = key.split(".")[:-1]
    if steps[0] == "pretrain" and steps[0] not in config:
        raise ConfigError(
            f"{where}: the config has no section 'pretrain', which would pretrain in place of "
            "training on its stream. Use a config that inherits '_base_/pretraining/qualiclip.py'."
        )
    owner: Any = config
    for depth, step in enumerate(steps):
        name = ".".join(steps[: depth + 1])
        known = keys_of(name) or (SECTIONS[name].keys if name in SECTIONS else ())
        if not isinstance(owner, dict) or not known:
            return
        if owner.get(step) is None:
            owner[step] = {}
        owner = owner[step]


def _nested(key: str, text: str, where: str) -> Value:
    """Return the value that an option gives to the first part of its key."""
    value = parse_value(text, None, where)
    for step in reversed(key.split(".")[1:]):
        value = {step: value}
    return value


def _no_section(key: str, text: str, config: dict[str, Any], variables: Sequence[str]) -> str:
    """Return why a key cannot be set, and an alternative."""
    name = key.partition(".")[0]
    leaves = [key for key in flatten(config) if key.rpartition(".")[2] == name]
    if not leaves and (advice := misplaced(name, _nested(key, text, f"--cfg-options {key}"))):
        return advice
    instead = f" Did you mean '{leaves[0]}'?" if leaves else closest(name, SECTIONS)
    if name in variables:
        return (
            f"'{name}' is a variable of the config file, which has already used it. Set the key "
            f"that uses it.{' For example ' + leaves[0] + '.' if leaves else ''}"
        )
    return f"unknown section.{instead} Sections: {', '.join(SECTIONS)}."


def _child(owner: Value, step: str, above: list[str], where: str, *, last: bool) -> Value:
    """Return the value of `owner` at `step`, or ABSENT if a new key may be set."""
    name = ".".join(above)
    if isinstance(owner, list):
        if not step.isdecimal() or int(step) >= len(owner):
            items = f"0 to {len(owner) - 1}" if owner else "none: it is empty"
            raise ConfigError(
                f"{where}: '{step}' is not an index of the list {name} (items {items}). "
                f"To change its length set the whole list: {name}=[...], or edit the config file."
            )
        return owner[int(step)]
    if not isinstance(owner, dict):
        kind = "" if keys_of(name) else "type='...', "
        raise ConfigError(
            f"{where}: {name} is {reprlib.repr(owner)}, which has no keys. Set the whole section: "
            f'{name}="dict({kind}{step}=...)", or edit the config file.'
        )
    if step in owner:
        return owner[step]
    _check_new_key(owner, step, name, where, last=last)
    return ABSENT


def _check_new_key(owner: dict[str, Any], step: str, name: str, where: str, *, last: bool) -> None:
    """Refuse a new key of `owner`, unless the check of arguments will decide."""
    if not name and last:
        return  # a section that the file does not set
    component = bool({"type", "dataset_type", "backbone"} & set(owner))
    known = keys_of(name) or tuple(SECTIONS[name].keys if name in SECTIONS else ())
    if step in known and (last or keys_of(f"{name}.{step}")):
        return
    near = misspelt(step, owner)
    if near:
        raise ConfigError(f"{where}: {name} has no key '{step}'. Did you mean '{near}'?")
    if last and component:
        return
    keys = [*owner, *(key for key in known if key not in owner)]
    near = nearest(step, keys)
    raise ConfigError(
        f"{where}: {name or 'the config'} has no key '{step}'."
        f"{f' Did you mean {near!r}?' if near else ''} It has {', '.join(map(str, keys))}. "
        "Add new sections to the config file."
    )


def _check_kind(old: Value, new: Value, key: str, where: str) -> None:
    """Refuse to replace a section by a scalar."""
    if new is None or isinstance(new, (dict, list, tuple)) and not isinstance(old, dict):
        return
    if isinstance(old, dict) and not isinstance(new, dict):
        raise ConfigError(
            f"{where}: {key} is {reprlib.repr(old)} and cannot become {new!r}. Set one of its "
            f"keys ({key}.{next(iter(old), 'type')}=...), or write "
            f"{key}=\"dict(type='...', _delete_=True)\"."
        )
    if isinstance(old, list) and any(isinstance(item, dict) for item in old):
        raise ConfigError(
            f"{where}: {key} is a list of {len(old)} dicts and cannot become {new!r}. "
            f"Set a key of an item: {key}.0.type=..."
        )


def _merge(old: Value, new: Value) -> Value:
    """Return `new`, merged into `old` if both are dicts, as mmengine merges configs."""
    if not isinstance(new, dict):
        return new
    delete = new.pop("_delete_", False)
    merged = {} if delete or not isinstance(old, dict) else dict(old)
    for key, value in new.items():
        merged[key] = _merge(merged.get(key), value)
    return merged
