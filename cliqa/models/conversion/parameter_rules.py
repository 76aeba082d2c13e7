"""mmengine's ``paramwise_cfg`` as rules of ``cl_strategy.optimizer.paramwise``.

mmengine's own constructor sorts the model's parameters, also by their layer's depth; patterns are
then found that select exactly the parameters of each of its groups.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from cliqa.models.freezing import matches

Options = tuple[float, float | None]
"""A factor of the learning rate, and a weight decay."""

LONGEST_TAIL = 2
"""Parts at the end of a name that a pattern has behind a star."""


def parameter_rules(model: nn.Module, wrapper: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules that sort a model's parameters as an ``optim_wrapper`` would.

    Args:
        model: The model; it may be on the meta device.
        wrapper: mmengine's ``optim_wrapper``, with ``paramwise_cfg``.

    Returns:
        ``[dict(match=['*.bias'], weight_decay=0.0), ...]``, in the order in which they apply.

    Raises:
        Exception: Whatever mmengine raises for a model that its constructor does not know.
    """
    optimizer = dict(wrapper["optimizer"])
    groups = mmengine_groups(model, wrapper)
    own = (1.0, optimizer.get("weight_decay"))
    left = {name for names in groups.values() for name in names}
    rules = []
    # without decay first: the names of biases and norms are of one kind
    for options in sorted(groups, key=lambda one: (one[1] != 0, one[1] or 0, one[0])):
        if options == own:
            continue
        patterns = patterns_of(groups[options], left)
        left -= groups[options]
        rules.append(_rule(patterns, options, own))
    return rules


def mmengine_groups(model: nn.Module, wrapper: Mapping[str, Any]) -> dict[Options, set[str]]:
    """Return the names of the trained parameters by what mmengine's constructor gives them."""
    optimizer = {"type": "SGD", **{k: wrapper["optimizer"].get(k) for k in ("lr", "weight_decay")}}
    optimizer = {key: value for key, value in optimizer.items() if value is not None}
    config = {
        "type": wrapper.get("constructor", "DefaultOptimWrapperConstructor"),
        "optim_wrapper_cfg": {"type": "OptimWrapper", "optimizer": optimizer},
        "paramwise_cfg": dict(wrapper.get("paramwise_cfg") or {}),
    }
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it logs a line for every parameter
    try:
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            built = OPTIM_WRAPPER_CONSTRUCTORS.build(config)(model).optimizer
    finally:
        logger.setLevel(level)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[Options, set[str]] = defaultdict(set)
    decay = wrapper["optimizer"].get("weight_decay")
    for group in built.param_groups:
        factor = round(group["lr"] / optimizer["lr"], 6)
        key = (factor, round(group["weight_decay"], 9) if decay is not None else None)
        for parameter in group["params"]:
            if parameter.requires_grad:
                found[key].add(names[id(parameter)])
    return {key: value for key, value in found.items() if value}


def patterns_of(names: set[str], all_names: set[str]) -> list[str]:
    """Return few patterns that match the given names, and none of the others.

    Args:
        names: The names to match.
        all_names: These and the others.

    >>> patterns_of({"a.bias", "b.c.bias"}, {"a.bias", "b.c.bias", "a.weight"})
    ['*.bias']
    """
    index: dict[str, set[str]] = defaultdict(set)
    for name in all_names:
        for pattern in _patterns(name):
            index[pattern].add(name)
    fitting = {pattern: found for pattern, found in index.items() if found <= names}
    waiting, chosen = set(names), []
    while waiting:
        best = max(fitting, key=lambda p: (len(fitting[p] & waiting), -len(p), p))
        chosen.append(best)
        waiting -= fitting[best]
    return sorted(chosen)


def _patterns(name: str) -> Iterator[str]:
    """Yield the patterns that match a name: of its start, of its end, and of both."""
    parts = name.split(".")
    for head in range(1, len(parts) + 1):
        yield ".".join(parts[:head])
    for tail in range(1, min(LONGEST_TAIL, len(parts) - 1) + 1):
        end = ".".join(parts[-tail:])
        yield f"*.{end}"
        for head in range(1, len(parts) - tail):
            yield f"{'.'.join(parts[:head])}.*.{end}"


def _rule(patterns: Sequence[str], options: Options, own: Options) -> dict[str, Any]:
    """Return a rule."""
    rule: dict[str, Any] = {"match": patterns[0] if len(patterns) == 1 else list(patterns)}
    if options[0] != own[0]:
        rule["lr_mult"] = options[0]
    if options[1] != own[1]:
        rule["weight_decay"] = options[1]
    return rule


def selects_alike(
    rules: Sequence[Mapping[str, Any]], groups: Mapping[Options, set[str]], decay: float | None
) -> bool:
    """Return whether the first rule that matches a name gives it the options of its group.

    Args:
        rules: Rules of `parameter_rules`.
        groups: The groups of `mmengine_groups`.
        decay: The optimizer's own weight decay.
    """
    for options, names in groups.items():
        for name in names:
            listed = ([r["match"]] if isinstance(r["match"], str) else r["match"] for r in rules)
            first = next((r for r, m in zip(rules, listed, strict=True) if matches(name, m)), {})
            if (first.get("lr_mult", 1.0), first.get("weight_decay", decay)) != options:
                return False
    return True
