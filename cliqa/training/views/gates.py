"""Which gate a config asks for, and which one a checkpoint holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cliqa.config.suggest import closest
from cliqa.training.views.base import Gate
from cliqa.training.views.discriminant_gate import DiscriminantGate
from cliqa.training.views.gate import DomainGate
from cliqa.utils.errors import ConfigError

GATES: dict[str, Callable[..., Gate]] = {
    "lda": DiscriminantGate,
    "qda": partial(DiscriminantGate, own=True),
    "kmeans": partial(DomainGate, centroids=128, squared=False, starts=20),
}
"""The gates by name: discriminant analysis, and Zhang et al.'s with their settings."""

TAKEN = {
    "lda": (
        *("statistics", "levels", "shrinkage", "temperature", "hard"),
        *("unknown", "held", "dims"),
    ),
    "kmeans": ("centroids", "temperature", "squared", "starts", "levels"),
}
"""Their arguments."""

GateConfig = str | Mapping[str, Any] | None
"""A gate's name, or ``dict(name=name, ...)`` with arguments; None for linear discriminants."""


def build_gate(
    owner: str, gate: GateConfig, centroids: int | None = None, temperature: float | None = None
) -> Gate:
    """Return the gate of a config.

    Args:
        owner: The plugin, for messages.
        gate: See `GateConfig`.
        centroids: With this or `temperature`, and no `gate`, it is the gate of earlier versions:
            k-means over squared distances.
        temperature: See `centroids`.

    Raises:
        ConfigError: The gate or an argument is unknown, or a value is out of range.
    """
    given = {"centroids": centroids, "temperature": temperature}
    given = {name: value for name, value in given.items() if value is not None}
    if gate is None:
        return DomainGate(**given) if given else DiscriminantGate()  # type: ignore[arg-type]
    if given:
        raise ConfigError(
            f"{owner}: {' and '.join(given)} beside gate={gate!r}. They are arguments of a gate: "
            "gate=dict(name='kmeans', centroids=128, temperature=32.0)."
        )
    section = {"name": gate} if isinstance(gate, str) else dict(gate)
    kind = section.pop("name", None)
    if kind not in GATES:
        raise ConfigError(
            f"{owner}: gate must be one of {', '.join(map(repr, GATES))}, or dict(name=one of "
            f"them, ...), got {gate!r}.{closest(str(kind), GATES)}"
        )
    known = TAKEN["kmeans" if kind == "kmeans" else "lda"]
    for name in section:
        if name not in known:
            raise ConfigError(
                f"{owner}: gate '{kind}' has no argument '{name}'.{closest(name, known)} It takes "
                f"{', '.join(known)}."
            )
    return GATES[kind](**section)


def gate_of(state: Mapping[str, Any], gate: Gate) -> Gate:
    """Return the gate that a state belongs to: of earlier versions, theirs.

    Args:
        state: Of a gate, from a checkpoint.
        gate: What the config asks for.
    """
    if "type" in state or (isinstance(gate, DomainGate) and gate.squared):
        return gate
    return DomainGate()
