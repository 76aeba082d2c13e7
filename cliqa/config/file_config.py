"""A config that comes out of a file, looked through before anything is made of it."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from cliqa.config.suggest import closest
from cliqa.config.trust import TRUST, is_trusting, refusal
from cliqa.utils.errors import TrustError

DEEPEST = 32
"""Levels of dicts and lists in a config: real ones have a dozen, and recursion ends at 1000."""

MOST_VALUES = 100_000
LONGEST_INTEGER = 64
"""In bits: Python refuses to print longer ones."""

TEXTS = "texts"
"""The key of a model that names its file of texts."""

NOT_NEEDED = frozenset(
    {"pretrained", "weights", "init_cfg", "checkpoint", "checkpoint_path", "pretrained_cfg"}
    | {"pretrained_cfg_overlay", "cache_dir", "train_cfg", TEXTS}
)
"""Keys of a model that say where weights and texts come from, which a checkpoint has all itself,
and how mmpretrain mixes batches in a training of its own."""

ADDRESS = re.compile(r"[A-Za-z][\w.+-]*:")
"""How an address begins: ``https:``, ``hf-hub:``, ``torchvision:``."""


def check_plain(config: Any, path: str | Path, what: str = "config") -> None:  # noqa: ANN401
    """Refuse a config that is no dict of plain values, or is too deep or too large to be one.

    Args:
        config: What the file holds.
        path: The file, for the error message.
        what: What it is called there.

    Raises:
        TrustError: It is something else.
    """
    if not isinstance(config, Mapping):
        raise TrustError(f"{path}: its {what} is no dict but a {type(config).__name__}.")
    waiting: list[tuple[str, Any, int]] = [(what, config, 0)]
    count = 0
    while waiting:
        where, value, depth = waiting.pop()
        count += 1
        if depth > DEEPEST or count > MOST_VALUES:
            problem = "is nested too deeply" if depth > DEEPEST else "holds too many values"
            raise TrustError(f"{path}: its {what} {problem} to be one of a run ({where}).")
        waiting += [(f"{where}.{key}", item, depth + 1) for key, item in _items(value, where, path)]


def _items(value: Any, where: str, path: str | Path) -> Sequence[tuple[Any, Any]]:  # noqa: ANN401
    """Return what a plain value consists of, with the keys.

    Raises:
        TrustError: The value or a key is not plain.
    """
    if isinstance(value, Mapping):
        odd = [key for key in value if not isinstance(key, (str, int, float, type(None)))]
        private = [key for key in value if str(key).startswith("_")]
        if odd or private:
            raise TrustError(f"{path}: {where}: {(odd or private)[0]!r} is no key of a config.")
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    long = isinstance(value, int) and value.bit_length() > LONGEST_INTEGER
    if long or not isinstance(value, (str, int, float, type(None))):
        kind = "a huge integer" if long else f"a {type(value).__name__}"
        raise TrustError(f"{path}: {where}: {kind} is no value of a config.")
    return ()


class Names(Protocol):
    """What is asked of a registry."""

    def admits(self, key: str) -> bool:
        """Return whether an untrusted file may name a component."""

    def registered(self, key: str) -> object | None:
        """Return a component that it holds, or None."""

    def names(self) -> list[str]:
        """Return all names of its components."""


def check_names(
    config: Mapping[str, Any], path: str | Path, built: Mapping[str, Sequence[Names]]
) -> None:
    """Refuse a config that names a component, at any depth, which a file may not, unless trusted.

    Args:
        config: Sections of plain values.
        path: The file, for the error message.
        built: The sections that something is built from, and where their names are looked up.

    Raises:
        TrustError: There is such a name, a ``type`` that is no name, or an address.
    """
    for section, registries in () if is_trusting() else built.items():
        left_out = NOT_NEEDED if section == "model" else ()
        for place, key, value in _values(config.get(section), section, left_out):
            if key == "type" and not isinstance(value, str):
                raise TrustError(f"{place} of {path}: expected a name, got {reprlib.repr(value)}.")
            if key == "type" and not any(registry.admits(value) for registry in registries):
                raise refusal(value, place, path, _hint(value, registries))
            if isinstance(value, str) and ADDRESS.match(value):
                raise TrustError(
                    f"{place} of {path} is an address, {reprlib.repr(value)}: using it would fetch "
                    f"or read what lies there. {TRUST}"
                )


def _hint(name: str, registries: Sequence[Names]) -> str:
    """Return what to say of a name that no registry holds; nothing of one that a registry holds."""
    if any(registry.registered(name) for registry in registries):
        return ""
    known = {known for registry in registries for known in registry.names()}
    return closest(name, known) or " Is it registered?"


def _values(
    value: Any,  # noqa: ANN401
    where: str,
    left_out: Collection[str],
    key: Any = None,  # noqa: ANN401
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the values of a section, each with its key path and its key."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "type":
                yield f"{where}.type", "type", item
            elif name not in left_out:
                yield from _values(item, f"{where}.{name}", left_out, name)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _values(item, f"{where}[{index}]", left_out, key)
    else:
        yield where, key, value


def without_weights(section: Any, texts: bool = False) -> Any:  # noqa: ANN401
    """Return a model's section without what a checkpoint has itself, or random weights need not.

    Args:
        section: The section, or a part of it.
        texts: Keep the file of texts.

    >>> without_weights({"type": "HyperIQA", "pretrained": True, "grid": 7})
    {'type': 'HyperIQA', 'grid': 7}
    """
    if isinstance(section, (list, tuple)):
        return type(section)(without_weights(item, texts) for item in section)
    if not isinstance(section, Mapping):
        return section
    kept = {key: value for key, value in section.items() if key not in NOT_NEEDED}
    if TEXTS in section:
        kept[TEXTS] = section[TEXTS] if texts else None  # a required argument
    return {key: without_weights(value, texts) for key, value in kept.items()}
