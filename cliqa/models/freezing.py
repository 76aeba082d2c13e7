"""Freezing parts of a model: parameters and normalisation statistics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from cliqa.config.suggest import closest, listed
from cliqa.utils.errors import ModelError


@dataclass(frozen=True)
class FreezeReport:
    """The frozen part of a model.

    Attributes:
        modules: The outermost frozen modules, to be kept in evaluation mode.
        tensors: Frozen parameter tensors.
        values: Frozen parameter values.
        all_tensors: The model's parameter tensors.
        all_values: The model's parameter values.
    """

    modules: tuple[str, ...]
    tensors: int
    values: int
    all_tensors: int
    all_values: int

    def __str__(self) -> str:
        return (
            f"froze {self.tensors} of {self.all_tensors} parameter tensors "
            f"({self.values:,} of {self.all_values:,} values)"
        )


def freeze_parts(model: nn.Module, patterns: Sequence[str]) -> FreezeReport:
    """Freeze parts of a model.

    Args:
        model: The model.
        patterns: Names of modules or parameters, with ``*`` for any text: ``"backbone"``,
            ``"backbone.layer1"``, ``"*.bias"``. A name includes everything below it.

    Returns:
        A report. Call `keep_frozen` with it after every ``model.train()``, or batch normalisation
        keeps updating its statistics.

    Raises:
        ModelError: A pattern matches nothing.
    """
    parameters = dict(model.named_parameters())
    check_patterns(model, patterns, "freeze")
    modules = [name for name, _ in model.named_modules() if name]
    frozen = [p for name, p in parameters.items() if matches(name, patterns)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return FreezeReport(
        modules=_outermost(name for name in modules if matches(name, patterns)),
        tensors=len(frozen),
        values=sum(p.numel() for p in frozen),
        all_tensors=len(parameters),
        all_values=sum(p.numel() for p in parameters.values()),
    )


def keep_frozen(model: nn.Module, report: FreezeReport) -> None:
    """Put the frozen modules into evaluation mode: no dropout, no new batch statistics.

    Args:
        model: The frozen model.
        report: The result of `freeze_parts`.
    """
    for name in report.modules:
        model.get_submodule(name).eval()


def set_training(model: nn.Module, mode: bool = True) -> None:
    """Set training or evaluation mode; frozen parts stay in evaluation mode.

    Args:
        model: Any model; a frozen one has a `FreezeReport` in its attribute ``frozen``.
        mode: True for training.
    """
    model.train(mode)
    report = getattr(model, "frozen", None)
    if isinstance(report, FreezeReport):
        keep_frozen(model, report)


def check_patterns(model: nn.Module, patterns: Sequence[str], option: str) -> None:
    """Refuse a pattern that matches no part of a model.

    Args:
        model: The model.
        patterns: Names of modules or tensors; see `freeze_parts`.
        option: The config option, for the message.

    Raises:
        ModelError: A pattern matches nothing.
    """
    modules = [name for name, _ in model.named_modules() if name]
    tensors = {*model.state_dict(), *(name for name, _ in model.named_parameters())}
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in (*modules, *tensors)):
            parts = listed(f"'{name}'" for name, _ in model.named_children())
            hint = closest(pattern, modules) or f" Its parts are {parts}."
            raise ModelError(
                f"{option}: '{pattern}' names no part of the {type(model).__name__}.{hint}"
            )


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a pattern matches this part or one that contains it.

    >>> matches("backbone.layer1.0.weight", ["head", "backbone.layer1"])
    True
    """
    return any(fnmatchcase(name, p) or fnmatchcase(name, f"{p}.*") for p in patterns)


class Rest:
    """Parts of a model that are not trained for a while.

    Attributes:
        parameters: Those at rest.
        modules: Those kept in evaluation mode.
    """

    def __init__(self) -> None:
        self.parameters: list[nn.Parameter] = []
        self.modules: list[nn.Module] = []

    def begin(self, parameters: Iterable[nn.Parameter], modules: Iterable[nn.Module]) -> None:
        """Stop the gradients of parameters, and the statistics of normalisation layers.

        What is frozen already, or in evaluation mode, stays so when the rest ends.
        """
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.modules = [module for module in modules if module.training]
        for parameter in self.parameters:
            parameter.requires_grad_(False)
        for module in self.modules:
            module.eval()

    def end(self) -> None:
        """Train everything again."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        for module in self.modules:
            module.train()
        self.parameters, self.modules = [], []


def _outermost(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that are not inside another one; parents come before their children."""
    kept: list[str] = []
    for name in names:
        if not any(name.startswith(f"{parent}.") for parent in kept):
            kept.append(name)
    return tuple(kept)
