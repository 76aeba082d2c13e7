"""The state dict inside a file of weights, chosen by rule where the file has several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from cliqa.utils.errors import ModelError

PREFERRED = (
    *("params_ema", "state_dict_ema", "model_ema", "ema"),
    *("state_dict", "params", "model", "module", "net", "network", "weights"),
)
"""Names of a model's state dict, preferred ones first: averaged weights (EMA) are those that a
training evaluates. mmengine's ``ema_state_dict`` is not among them: its ``state_dict`` has the
averaged weights already, and the other one those that were trained."""

ALIKE = 0.9
"""Least share of common names for two state dicts to be of the same model."""

Tensors = dict[str, torch.Tensor]


def state_of_file(content: Mapping[Any, Any], prefix: str, path: Path) -> tuple[Tensors, str]:
    """Return the tensors of a model in a file.

    In a run's checkpoint it is the model's entry: a plugin may have several tensors per weight.
    Elsewhere it is the largest dict of named tensors; of several for the same model, such as
    ``params`` and ``params_ema``, that which comes first in `PREFERRED`.

    Args:
        content: The file's content.
        prefix: Use only what lies below this name: one of several state dicts (``"params"``), or
            a part of their tensors (``"teacher"``, ``"params.backbone"``).
        path: The file's path, for messages.

    Returns:
        The tensors, and words on which of several state dicts they are; "" if there is one.

    Raises:
        ModelError: There are none, or several of which none is preferred.
    """
    strategy = content.get("strategy")
    if isinstance(strategy, Mapping) and isinstance(strategy.get("model"), Mapping):
        content = strategy["model"]
    states = list(_states(content))
    if prefix:
        start = f"{prefix.rstrip('.')}."
        states = [
            (key, {name[len(start) :]: t for name, t in named.items() if name.startswith(start)})
            for key, tensors in states
            for named in _named(key, tensors)
        ]
    states = [(key, tensors) for key, tensors in states if tensors]
    if not states:
        where = f" below '{prefix}'" if prefix else ""
        raise ModelError(f"{path}: holds no named tensors{where}.")
    return _chosen(states, path)


def _states(content: Mapping[Any, Any], key: str = "") -> Iterator[tuple[str, Tensors]]:
    """Yield every dict of named tensors in a file, with its dotted name."""
    own = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
    if own:
        yield key, own
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _states(value, f"{key}.{name}".lstrip("."))


def _named(key: str, tensors: Tensors) -> tuple[Tensors, ...]:
    """Return a state dict by its own names, and by those that the file as a whole gives them."""
    return (tensors, {f"{key}.{name}": t for name, t in tensors.items()}) if key else (tensors,)


def _chosen(states: list[tuple[str, Tensors]], path: Path) -> tuple[Tensors, str]:
    """Return the largest state dict, or the preferred one of the same model, and which it is."""
    largest = max(states, key=lambda state: len(state[1]))
    alike = [state for state in states if _is_alike(state[1], largest[1])]
    if len(alike) == 1:
        return largest[1], ""
    order = {name: rank for rank, name in enumerate(PREFERRED)}
    ranks = [order.get(key.rpartition(".")[2], len(order)) for key, _ in alike]
    best = min(ranks)
    keys = [key for key, _ in alike]
    if ranks.count(best) > 1:
        raise ModelError(
            f"{path}: holds several models: {', '.join(keys)}. Choose one: load_from=dict("
            f"path='...', prefix='{keys[0]}')."
        )
    key, tensors = alike[ranks.index(best)]
    others = ", ".join(f"'{other}'" for other in keys if other != key)
    return tensors, f"of '{key}' (not of {others})"


def _is_alike(one: Tensors, other: Tensors) -> bool:
    """Return whether two state dicts are of the same model, by their names."""
    names, others = ({name.removeprefix("module.") for name in tensors} for tensors in (one, other))
    return len(names & others) >= ALIKE * max(len(names), len(others))
