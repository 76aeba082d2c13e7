"""What a browser asks of the search for a smaller or faster model: ``cliqa compress auto``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cliqa.deploy.search.recipes import PRECISIONS
from cliqa.utils.errors import ConfigError

TARGETS = ("size", "latency", "quality")
BACKENDS = ("onnxruntime", "openvino", "torch")
PRECISION_KINDS = {
    "32 bit": ("fp32",),
    "16 bit": ("fp16", "bf16"),
    "8 bit": ("int8", "int8-bf16"),
}
"""Kinds of precisions as a page calls them, and what the backends call theirs."""
PRUNINGS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Search:
    """A search for a deployment.

    Args:
        run: The run's folder below ``work_dirs``.
        target: One of `TARGETS`.
        max_drop: SRCC or accuracy that may be lost, 0..1.
        prunings: Shares of channels to prune, beside none: of `PRUNINGS`.
        backends: Of `BACKENDS`; empty for those that are installed.
        kinds: Of `PRECISION_KINDS`; empty for all.

    Raises:
        ConfigError: A value is none of those.
    """

    run: str
    target: str = "size"
    max_drop: float = 0.02
    prunings: Sequence[float] = ()
    backends: Sequence[str] = ()
    kinds: Sequence[str] = ()

    def __post_init__(self) -> None:
        parts = self.run.split("/") if isinstance(self.run, str) else [""]
        if not all(parts) or {".", ".."} & set(parts):
            raise ConfigError(f"{ascii(self.run)[:60]}: no such run here.")
        _check_among("target", [self.target], TARGETS)
        _check_among("share to prune", self.prunings, PRUNINGS)
        _check_among("backend", self.backends, BACKENDS)
        _check_among("precision", self.kinds, tuple(PRECISION_KINDS))
        if self.kinds and not self._precisions():
            kinds, backends = " and ".join(self.kinds), " and ".join(self.backends)
            raise ConfigError(
                f"precision {kinds}: {backends} has none. Choose another backend too."
            )
        drop: Any = self.max_drop
        if isinstance(drop, bool) or not isinstance(drop, (int, float)) or not 0 <= drop <= 1:
            raise ConfigError("what may be lost: must be a number from 0 to 1.")

    def words(self) -> list[str]:
        """Return the options of ``cliqa compress auto``."""
        found = ["--target", self.target, "--max-drop", f"{self.max_drop:g}"]
        found += ["--prune", *map(str, self.prunings)] if self.prunings else []
        found += ["--backends", *self.backends] if self.backends else []
        every = set(self.kinds) in (set(), set(PRECISION_KINDS))
        return found + ([] if every else ["--precisions", *self._precisions()])

    def _precisions(self) -> list[str]:
        """Return what the backends have of the kinds."""
        known = {one for backend in self.backends or BACKENDS[:2] for one in PRECISIONS[backend]}
        return [one for kind in self.kinds for one in PRECISION_KINDS[kind] if one in known]


def _check_among(what: str, values: object, known: Sequence[object]) -> None:
    """Refuse values that are not offered."""
    given = values if isinstance(values, (list, tuple)) else [values]
    for value in given:
        if value not in known:
            names = ", ".join(map(str, known))
            raise ConfigError(f"{what} {ascii(value)[:40]}: choose among {names}.")
