"""Trust: configs and options may run code, other files only with ``--trust``.

The content of a file (a checkpoint, an exported model) is data: while it is built (`built_from`),
it may name our own components and a fixed list of libraries' components; nothing is imported,
generated or downloaded. A config in a file is checked before anything is built from it.
"""

from __future__ import annotations

import importlib
import re
import reprlib
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from cliqa.config.suggest import closest
from cliqa.config.values import BITS, DEEPEST, Value, walk
from cliqa.utils.errors import ConfigError, TrustError

TRUST = "If you trust the file: --trust"
"""The end of every refusal; each tool that opens files has this option."""

LONGEST = 80
"""The most characters of a component's name in a message."""

MOST_VALUES = 100_000
TEXTS = "texts"
"""The key of a model's file of texts."""

NOT_NEEDED = frozenset(
    {"pretrained", "weights", "init_cfg", "checkpoint", "checkpoint_path", "pretrained_cfg"}
    | {"pretrained_cfg_overlay", "cache_dir", "train_cfg", TEXTS}
)
"""Keys of a model for the sources of weights and texts, which a checkpoint contains itself, and for
mmpretrain's own training."""

ADDRESS = re.compile(r"[A-Za-z][\w.+-]*:")
"""The start of an address: ``https:``, ``hf-hub:``, ``torchvision:``."""

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)
_source: ContextVar[str] = ContextVar("source", default="")
_vouched: set[str] = set()


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Trust files within this context, as with ``--trust``.

    Args:
        trust: False changes nothing.
    """
    token = _trusting.set(trust or _trusting.get())
    try:
        yield
    finally:
        _trusting.reset(token)


def is_trusting() -> bool:
    """Return whether files are trusted in this context."""
    return _trusting.get()


@contextmanager
def built_from(path: str | Path) -> Iterator[None]:
    """Restrict look-ups in this context to the components that a file may name, unless trusted.

    Args:
        path: The file whose content is built.
    """
    token = _source.set("" if is_trusting() else str(path))
    try:
        yield
    finally:
        _source.reset(token)


def untrusted_source() -> str:
    """Return the untrusted file whose content is being built, or an empty text."""
    return _source.get()


def vouch(config: Value) -> None:
    """Allow files to name the components that a user's own config or command line names."""
    _vouched.update(
        value for _, key, value in walk(config) if key == "type" and isinstance(value, str)
    )


def is_vouched(name: str) -> bool:
    """Return whether the user has named a component in this process."""
    return name in _vouched


def import_custom_modules(custom: Mapping[str, Any] | None, where: str) -> None:
    """Import the modules of ``custom_imports``, so that their components are registered.

    Args:
        custom: ``custom_imports``.
        where: The file, for the error message.

    Raises:
        ConfigError: An import fails, and ``allow_failed_imports`` is not set.
    """
    for name in (custom or {}).get("imports") or ():
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  a user's module may raise anything
            if isinstance(error, ImportError) and (custom or {}).get("allow_failed_imports"):
                continue
            raise ConfigError(
                f"{where}: custom_imports: importing '{name}' failed "
                f"({type(error).__name__}: {error}). Its folder must be on PYTHONPATH."
            ) from error


def refuse_imports(custom: Value, path: str | Path) -> None:
    """Refuse a file whose ``custom_imports`` are not imported yet.

    Args:
        custom: The file's ``custom_imports``.
        path: The file, for the error message.

    Raises:
        TrustError: With the names of the modules.
    """
    listed = custom.get("imports") if isinstance(custom, Mapping) else custom
    names = listed if isinstance(listed, (list, tuple)) else [listed] if listed else []
    missing = [str(name) for name in names if name not in sys.modules]
    if missing:
        raise TrustError(
            f"{path}: its run uses custom components (custom_imports): using it would import "
            f"{', '.join(missing)}. {TRUST}"
        )


def refusal(name: str, where: str, path: str | Path, hint: str = "") -> TrustError:
    """Return the error for a component that a file may not name.

    Args:
        name: The component's name.
        where: Its key, ``model.head.type``.
        path: The file.
        hint: Advice instead of ``--trust``.
    """
    name = repr(name)[1:-1]  # on one line
    name = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
    module = name.rpartition(".")[0]
    if module:
        reason = f"is not a component of cliqa: using it would import {module}. {TRUST}"
    else:
        reason = f"is not a component that a file may name.{hint or f' {TRUST}'}"
    return TrustError(f"{where} '{name}' of {path} {reason}")


def check_plain(config: object, path: str | Path, what: str = "config") -> None:
    """Refuse a file's config that is not a dict of plain values, or too deep or too large.

    Unlike `cliqa.config.values.plain` it also stops at lists that contain each other.

    Args:
        config: The config in the file.
        path: The file, for the error message.
        what: Its name in the message.

    Raises:
        TrustError: It is not a plain config.
    """
    if not isinstance(config, Mapping):
        raise TrustError(f"{path}: its {what} is a {type(config).__name__}, not a dict.")
    waiting: list[tuple[str, Any, int]] = [(what, config, 0)]
    count = 0
    while waiting:
        where, value, depth = waiting.pop()
        count += 1
        if depth > DEEPEST or count > MOST_VALUES:
            problem = "is nested too deeply" if depth > DEEPEST else "holds too many values"
            raise TrustError(f"{path}: its {what} {problem} to be one of a run ({where}).")
        waiting += [(f"{where}.{key}", item, depth + 1) for key, item in _items(value, where, path)]


def _items(value: object, where: str, path: str | Path) -> Sequence[tuple[object, object]]:
    """Return the items of a plain value, with their keys or indices.

    Raises:
        TrustError: The value or a key is not plain.
    """
    if isinstance(value, Mapping):
        odd = [key for key in value if not isinstance(key, (str, int, float, type(None)))]
        private = [key for key in value if str(key).startswith("_")]
        if odd or private:
            raise TrustError(
                f"{path}: {where}: {(odd or private)[0]!r} is not a valid key of a config."
            )
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    long = isinstance(value, int) and value.bit_length() > BITS
    if long or not isinstance(value, (str, int, float, type(None))):
        kind = "a huge integer" if long else f"a {type(value).__name__}"
        raise TrustError(f"{path}: {where}: {kind} is not a valid value of a config.")
    return ()


class Names(Protocol):
    """The names of a registry."""

    def admits(self, key: str) -> bool:
        """Return whether an untrusted file may name a component."""

    def registered(self, key: str) -> object | None:
        """Return a registered component, or None."""

    def names(self) -> list[str]:
        """Return the names of its components."""


def check_names(
    config: Mapping[str, Any], path: str | Path, built: Mapping[str, Sequence[Names]]
) -> None:
    """Refuse a config that names, at any depth, a component that a file may not name.

    Args:
        config: Sections of plain values.
        path: The file, for the error message.
        built: The sections that are built, and the registries of their components.

    Raises:
        TrustError: There is such a name, a ``type`` that is not a name, or an address; never in a
            trusted context.
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
                    f"{place} of {path} is an address, {reprlib.repr(value)}: using it would "
                    f"download or read it. {TRUST}"
                )


def _hint(name: str, registries: Sequence[Names]) -> str:
    """Return advice for an unregistered name, nothing for a registered one."""
    if any(registry.registered(name) for registry in registries):
        return ""
    known = {known for registry in registries for known in registry.names()}
    return closest(name, known) or " Is it registered?"


def _values(
    value: Value, where: str, left_out: Collection[str], key: str | None = None
) -> Iterator[tuple[str, str | None, Value]]:
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


def without_weights(section: Value, texts: bool = False) -> Value:
    """Return a model's section without the sources of weights, which a checkpoint contains.

    Args:
        section: The section, or a part of it.
        texts: Whether to keep the file of texts.

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
