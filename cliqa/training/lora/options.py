"""What the arguments of `LoRA` may be."""

from __future__ import annotations

from collections.abc import Sequence

from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError

CHOICES = {
    "mode": ("shared", "per_task", "sum", "olora", "inflora"),
    "first": ("adapters", "full"),
    "start": ("fresh", "last"),
    "norm": ("frozen", "train"),
}
"""What the arguments of these names may be."""


def check_choices(**chosen: str) -> None:
    """Refuse an unknown choice.

    Args:
        chosen: The arguments of `CHOICES` by name.

    Raises:
        ConfigError: With the choices that there are.

    >>> check_choices(mode="sum", norm="frozen")
    """
    for name, value in chosen.items():
        known = CHOICES[name]
        if value not in known:
            raise ConfigError(
                f"LoRA: {name} must be one of {', '.join(map(repr, known))}, got {value!r}."
                f"{closest(str(value), known)}"
            )


def check_values(
    heads: Sequence[str],
    energy: float | None,
    orthogonality: float,
    threshold: float,
    samples: int,
) -> None:
    """Refuse values out of range; the arguments are those of `LoRA`.

    Raises:
        ConfigError: With the range.
    """
    if isinstance(heads, str):
        raise ConfigError(f"LoRA: heads must be a list of names, e.g. ['head'], got {heads!r}.")
    if energy is not None and not 0 < energy <= 1:
        raise ConfigError(f"LoRA: energy must be above 0 and at most 1, or None, got {energy!r}.")
    if not 0 <= orthogonality < float("inf"):
        raise ConfigError(f"LoRA: orthogonality must be >= 0, got {orthogonality!r}.")
    if not 0 <= threshold <= 1:
        raise ConfigError(f"LoRA: threshold must lie in 0..1, got {threshold!r}.")
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise ConfigError(f"LoRA: samples must be an integer > 0, got {samples!r}.")
