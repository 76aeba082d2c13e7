"""Who may have code run: a user's config may, a file only where the user says so (``--trust``).

What a user names on the command line or in a config is the user's own. Everything that comes out of
a file is data: while parts are built from it (`built_from`), look-ups find our own components and a
closed list of upstream's, nothing is imported, generated or downloaded.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from cliqa.utils.errors import ConfigError, TrustError

TRUST = "If you trust the file: --trust"
"""The end of every refusal: an option of each tool that opens files."""

LONGEST = 80
"""Characters of a file's name of a component that a message shows."""

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)
_source: ContextVar[str] = ContextVar("source", default="")
_vouched: set[str] = set()


@contextmanager
def trusting(trust: bool = True) -> Iterator[None]:
    """Trust files like one's own configs within this context, in Python what ``--trust`` is.

    Args:
        trust: False changes nothing.
    """
    token = _trusting.set(trust or _trusting.get())
    try:
        yield
    finally:
        _trusting.reset(token)


def is_trusting() -> bool:
    """Return whether files are trusted here."""
    return _trusting.get()


@contextmanager
def built_from(path: str | Path) -> Iterator[None]:
    """Let look-ups find no more than a file may name, within this context, unless it is trusted.

    Args:
        path: The file that parts are built from.
    """
    token = _source.set("" if is_trusting() else str(path))
    try:
        yield
    finally:
        _source.reset(token)


def untrusted_source() -> str:
    """Return the untrusted file that parts are being built from, an empty text if there is none."""
    return _source.get()


def vouch(config: Any) -> None:  # noqa: ANN401
    """Remember the components that a user's own config or command line names.

    A file may name them too: the teacher of a run, or the run itself, evaluated under its config.
    """
    if isinstance(config, Mapping):
        if isinstance(config.get("type"), str):
            _vouched.add(config["type"])
        for value in config.values():
            vouch(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            vouch(value)


def is_vouched(name: str) -> bool:
    """Return whether the user has named a component in this process."""
    return name in _vouched


def import_custom_modules(custom: Mapping[str, Any] | None, where: str) -> None:
    """Import the modules that a config names, so that their components are registered.

    Args:
        custom: ``custom_imports``.
        where: The file, for the error message.

    Raises:
        ConfigError: An import fails, and may not.
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


def refuse_imports(custom: Any, path: str | Path) -> None:  # noqa: ANN401
    """Refuse the modules that a file would have imported; those that are there already may be.

    Args:
        custom: The file's ``custom_imports``.
        path: The file, for the error message.

    Raises:
        TrustError: With the modules.
    """
    listed = custom.get("imports") if isinstance(custom, Mapping) else custom
    names = listed if isinstance(listed, (list, tuple)) else [listed] if listed else []
    missing = [str(name) for name in names if name not in sys.modules]
    if missing:
        raise TrustError(
            f"{path}: its run has components of its own (custom_imports): using it would import "
            f"{', '.join(missing)}. {TRUST}"
        )


def refusal(name: str, where: str, path: str | Path, hint: str = "") -> TrustError:
    """Return the error of a name that a file may not use.

    Args:
        name: The component's name.
        where: Its key, ``model.head.type``.
        path: The file.
        hint: What else there is to say about the name.
    """
    name = repr(name)[1:-1]  # in one line, whatever it holds
    name = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
    module = name.rpartition(".")[0]
    if module:
        said = f"is none of cliqa's components: using it would import {module}. {TRUST}"
    else:
        said = f"is none of the components that a file may name.{hint or f' {TRUST}'}"
    return TrustError(f"{where} '{name}' of {path} {said}")
