"""The values that a tuning may give to keys of a config."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.config.load import read_values
from cliqa.utils.errors import ConfigError

DIGITS = 4
"""Significant digits of a drawn value: what a person would write into a config."""

FORM = "KEY=log(LOW, HIGH), KEY=uniform(LOW, HIGH), KEY=int(LOW, HIGH), or KEY=[A, B, C]"

_RANGE = re.compile(r"(log|uniform|int)\s*\(([^,()]*),([^,()]*)\)")
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Interval:
    """A range of numbers.

    Attributes:
        low: The smallest value.
        high: The largest value.
        log: Draw by the logarithm: ``log(LOW, HIGH)``.
        whole: Integers alone, both ends among them: ``int(LOW, HIGH)``.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def rounded(self, value: float) -> float:
        """Return a value inside the range with few digits."""
        if self.whole:
            return int(value)
        return min(self.high, max(self.low, float(f"{value:.{DIGITS}g}")))

    def holds(self, value: object) -> bool:
        """Return whether a config's value may be drawn."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= float(str(value)) <= self.high

    def __str__(self) -> str:
        """Return it as it is written."""
        kind = "log" if self.log else "int" if self.whole else "uniform"
        return f"{kind}({self.low:.15g}, {self.high:.15g})"


@dataclass(frozen=True)
class Choice:
    """Some values.

    Attributes:
        values: Each as ``--cfg-options`` takes it.
    """

    values: tuple[str, ...]

    def holds(self, value: object) -> bool:
        """Return whether a config's value may be drawn."""
        return str(value) in self.values

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"[{', '.join(self.values)}]"


Space = dict[str, Interval | Choice]
"""By the key of a config, as ``cl_strategy.strength``."""


def read_space(given: Sequence[str], file: str | Path | None = None) -> Space:
    """Return a search space.

    Args:
        given: ``KEY=uniform(LOW, HIGH)``, ``KEY=log(LOW, HIGH)`` to draw by the logarithm,
            ``KEY=int(LOW, HIGH)`` for integers, both ends included; or ``KEY=[A, B, C]``. They take
            precedence over the file's.
        file: A config whose dict ``tune`` has the same by key: ``tune =
            {"cl_strategy.strength": "log(1, 1e6)", "cl_strategy.mode": ["separate", "online"]}``.

    Raises:
        ConfigError: With every mistake; or there is nothing to tune.
    """
    rules: list[tuple[str, Any]] = []
    if file is not None:
        section = read_values(file).get("tune")
        if not isinstance(section, Mapping):
            raise ConfigError(
                f"--space {file}: has no dict 'tune'. Write: tune = "
                '{"cl_strategy.strength": "log(1, 1e6)"}'
            )
        rules += [(str(key), rule) for key, rule in section.items()]
    mistakes: list[str] = []
    for text in given:
        key, equals, rule = text.partition("=")
        if not equals or not key.strip():
            mistakes.append(f"--search {text}: expected {FORM}.")
        rules.append((key.strip(), rule))
    space: Space = {}
    for key, rule in rules if not mistakes else ():
        try:
            space[key] = _read(key, rule)
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    if not space:
        raise ConfigError(
            "nothing to tune: give --search 'cl_strategy.strength=log(1, 1e6)', or --space FILE."
        )
    return space


def _read(key: str, rule: object) -> Interval | Choice:
    """Return what a rule allows.

    Raises:
        ConfigError: It is not understood, or allows less than two values.
    """
    if isinstance(rule, str):
        text = rule.strip()
        if text.startswith("[") and text.endswith("]"):
            return _choice(key, _items(text[1:-1]))
        return _interval(key, text)
    if isinstance(rule, (list, tuple)):
        return _choice(key, [str(value) for value in rule])
    raise ConfigError(f"--search {key}: {rule!r} is no range. Write {FORM}.")


def _choice(key: str, values: Sequence[str]) -> Choice:
    """Return a choice of at least two different values."""
    if len(set(values)) < 2 or len(set(values)) < len(values) or "" in values:
        raise ConfigError(f"--search {key}: name two values or more, each once: {key}=[A, B].")
    return Choice(tuple(values))


def _items(text: str) -> list[str]:
    """Return the items of a list; a comma inside brackets or quotes does not end one.

    >>> _items("1, dict(a=1, b=2), 'x,y'")
    ['1', 'dict(a=1, b=2)', "'x,y'"]
    """
    found, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth and not quote:
            found.append("")
        else:
            found[-1] += sign
    return [item.strip() for item in found]


def _interval(key: str, text: str) -> Interval:
    """Return a range."""
    where = f"--search {key}={text}:"
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ConfigError(f"{where} is no range. Write {FORM}.")
    kind, *ends = (part.strip() for part in found.groups())
    if kind == "int" and not all(map(_WHOLE.fullmatch, ends)):
        raise ConfigError(f"{where} both ends must be integers. Or write uniform(LOW, HIGH).")
    try:
        low, high = map(float, ends)
    except ValueError:
        raise ConfigError(f"{where} LOW and HIGH must be numbers, as in log(1, 1e6).") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"{where} LOW must be below HIGH, both finite.")
    if kind == "log" and low <= 0:
        raise ConfigError(f"{where} LOW must be above 0 for a logarithm.")
    return Interval(low, high, log=kind == "log", whole=kind == "int")


def as_options(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return values by key as ``--cfg-options`` takes them.

    >>> as_options({"cl_strategy.strength": 250.0})
    ('cl_strategy.strength=250.0',)
    """
    return tuple(f"{key}={value}" for key, value in values.items())
