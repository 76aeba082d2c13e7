"""What the stand-ins of services were told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []


def record(name: str) -> Callable[..., None]:
    """Return a function that keeps its arguments under a name."""

    def call(*arguments: object, **named: object) -> None:
        calls.append((name, arguments, named))

    return call
