"""Parameter groups: learning rates and other optimizer options for parts of a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from cliqa.models.freezing import matches
from cliqa.registry import OPTIMIZERS, closest, find, parameters_of
from cliqa.utils.errors import ConfigError, ModelError

REST = "rest"
"""The group of all parameters that no rule names."""

OF_RULE = ("match", "lr_mult")
"""Keys of a rule beside the optimizer's own arguments."""


class ParameterGroups:
    """Assigns a model's parameters to an optimizer's groups, again before every experience.

    A parameter belongs to the group of the first rule that matches it, even if a plugin or a head
    adds it later. Frozen parameters stay in their group, so that no group becomes empty.

    Args:
        optimizer: ``dict(type='AdamW', lr=2e-4, paramwise=[dict(match='backbone', lr_mult=0.1,
            weight_decay=0.0)])``. A rule names parts as `freeze_parts` does (``match``, a name or a
            list of them), and gives ``lr_mult``, a factor of the optimizer's rate, or any
            argument of the optimizer.
        where: The section's key path, for error messages.

    Raises:
        ConfigError: A rule is not a dict, matches nothing, changes nothing, or has an unknown
            option or a rate that is not positive.
    """

    def __init__(self, optimizer: Mapping[str, Any], where: str = "cl_strategy.optimizer") -> None:
        self.where = f"{where}.paramwise"
        component = find(OPTIMIZERS, optimizer, where)
        self._known = {n: p for n, p in parameters_of(component)[0].items() if n != "params"}
        default = self._known["lr"].default if "lr" in self._known else None
        self._lr = optimizer.get("lr", default)
        rules = optimizer.get("paramwise") or []
        if not isinstance(rules, Sequence) or isinstance(rules, str):
            raise ConfigError(
                f"{self.where}: expected a list of rules, e.g. [dict(match='backbone', "
                f"lr_mult=0.1)], got {rules!r}."
            )
        for index, rule in enumerate(rules):
            self._check(rule, f"{self.where}[{index}]")
        self._patterns = [_listed(rule["match"]) for rule in rules]
        self._options = [self._options_of(rule) for rule in rules]
        names = [self.name(index) for index in range(len(rules))]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"{self.where}: two rules have match='{twice}'. Join them.")

    def __len__(self) -> int:
        return len(self._patterns)

    def rates(self) -> dict[str, float]:
        """Return the learning rate that each group starts from, by the group's name."""
        found = {REST: self._lr}
        for index, options in enumerate(self._options):
            found[self.name(index)] = options.get("lr", self._lr)
        return {name: float(rate) for name, rate in found.items() if isinstance(rate, (int, float))}

    def name(self, index: int) -> str:
        """Return the name of a rule's group."""
        return ", ".join(self._patterns[index])

    def build(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the groups of a fresh model, as an optimizer takes them.

        Raises:
            ModelError: A pattern matches no parameter, or a group has nothing to train.
        """
        sorted_in = self._sorted(model)
        for index in range(len(self)):
            self._check_matches(model, index)
            self._check_trains(model, index, sorted_in[self.name(index)])
        options = {REST: {}, **{self.name(k): o for k, o in enumerate(self._options)}}
        return [
            {"params": parameters, "name": name, **options[name]}
            for name, parameters in sorted_in.items()
            if parameters
        ]

    def regroup(self, optimizer: Optimizer, model: nn.Module) -> None:
        """Assign a model's current parameters to an optimizer's groups.

        The optimizer's state of removed parameters is dropped.
        """
        sorted_in = self._sorted(model)
        for group in optimizer.param_groups:
            group["params"] = sorted_in.pop(group["name"])
        for name, parameters in sorted_in.items():  # the rest group, which did not exist
            if parameters:
                optimizer.add_param_group({"params": parameters, "name": name})
        present = {id(parameter) for parameter in model.parameters()}
        kept = {p: state for p, state in optimizer.state.items() if id(p) in present}
        optimizer.state = defaultdict(dict, kept)

    def _sorted(self, model: nn.Module) -> dict[str, list[nn.Parameter]]:
        """Return the model's parameters by the names of their groups."""
        found: dict[str, list[nn.Parameter]] = {REST: []}
        found.update({self.name(index): [] for index in range(len(self))})
        for name, parameter in model.named_parameters():
            rule = next((k for k, p in enumerate(self._patterns) if matches(name, p)), None)
            found[REST if rule is None else self.name(rule)].append(parameter)
        return found

    def _check_matches(self, model: nn.Module, index: int) -> None:
        """Refuse a pattern that matches nothing."""
        names = [name for name, _ in model.named_parameters()]
        for pattern in self._patterns[index]:
            if not any(matches(name, [pattern]) for name in names):
                modules = [name for name, _ in model.named_modules() if name]
                raise ModelError(
                    f"{self.where}[{index}]: match='{pattern}' names no parameter of the "
                    f"{type(model).__name__}.{closest(pattern, modules)} {_parts(model)}"
                )

    def _check_trains(self, model: nn.Module, index: int, group: list[nn.Parameter]) -> None:
        """Refuse a group without trainable parameters."""
        if any(parameter.requires_grad for parameter in group):
            return
        why = "all its parameters are frozen" if group else "earlier rules have all its parameters"
        raise ModelError(
            f"{self.where}[{index}] (match='{self.name(index)}'): {why}, so the group would train "
            f"nothing. Drop the rule, or {'unfreeze the part' if group else 'put it first'}. "
            f"{_parts(model)}"
        )

    def _check(self, rule: object, where: str) -> None:
        """Refuse an invalid rule."""
        if not isinstance(rule, Mapping) or not _listed(rule.get("match")):
            raise ConfigError(
                f"{where}: expected dict(match='backbone', lr_mult=0.1, ...) with the names of "
                f"parts in 'match', got {rule!r}."
            )
        options = [str(key) for key in rule if key != "match"]
        known = ["lr_mult", *self._known]
        for option in options:
            if option not in known:
                raise ConfigError(
                    f"{where}: unexpected option '{option}'.{closest(option, known)} A rule takes "
                    f"match, {', '.join(known)}."
                )
        if not options:
            raise ConfigError(f"{where}: changes nothing. Add an option, e.g. lr_mult=0.1.")
        if "lr" in rule and "lr_mult" in rule:
            raise ConfigError(f"{where}: has both lr and lr_mult. Give one of them.")
        if "lr_mult" in rule and not isinstance(self._lr, (int, float)):
            raise ConfigError(f"{where}: lr_mult needs a number as the optimizer's lr.")
        for key in ("lr", "lr_mult"):
            if key in rule and not (isinstance(rule[key], (int, float)) and rule[key] > 0):
                raise ConfigError(
                    f"{where}: {key} must be a number > 0, got {rule[key]!r}. To keep a part "
                    "unchanged, freeze it: load_from=dict(..., freeze=[...]) or the model's own "
                    "option."
                )

    def _options_of(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a rule's group."""
        options = {str(key): value for key, value in rule.items() if key not in OF_RULE}
        if "lr_mult" in rule:
            options["lr"] = self._lr * rule["lr_mult"]
        return options


def without_groups(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimizer's section without its rules: what its constructor takes."""
    return {key: value for key, value in optimizer.items() if key != "paramwise"}


def _parts(model: nn.Module) -> str:
    """Return a model's parts, for an error message."""
    names = (name.partition(".")[0] for name, _ in model.named_parameters())
    return f"Parts of the {type(model).__name__}: {', '.join(dict.fromkeys(names))}."


def _listed(match: object) -> list[str]:
    """Return the patterns of a rule; none if they are invalid."""
    patterns = [match] if isinstance(match, str) else match
    if not isinstance(patterns, (list, tuple)):
        return []
    return [p for p in patterns if p] if all(isinstance(p, str) for p in patterns) else []
