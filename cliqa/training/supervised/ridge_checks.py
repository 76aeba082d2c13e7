"""What `StreamingRidge` refuses before its first sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from cliqa.models.arguments import check_choice, check_integer, check_positive
from cliqa.models.heads.ridge import RidgeHead
from cliqa.training.supervised.ridge_solution import ALIGN, CHOSEN
from cliqa.utils.errors import ConfigError

ALONE = "or leave scenario.online out"

NO_HEAD = (
    "cl_strategy 'StreamingRidge': the model needs one RidgeHead. Set model.head=dict("
    "type='RidgeHead', in_channels=...), with num_classes=... for classes."
)

OF_ONE_SET = {"align": (None,), "keep_sets": (None, False), "weighting": (None, "samples")}
"""Arguments that ask which data set an image is from, and the values that do not."""


def check_arguments(
    strength: float | str = "gcv",
    standardize: str = "image",
    weighting: str = "samples",
    align: str | None = None,
    first_session: int = 0,
    train_epochs: int = 1,
) -> None:
    """Refuse values of the strategy's arguments, before there is a model.

    Raises:
        ConfigError: One is out of range, or an unknown choice.
    """
    name = "StreamingRidge"
    if isinstance(strength, str):
        check_choice(name, CHOSEN, strength=strength)
    else:
        check_positive(name, strength=strength)
    check_choice(name, ("image", "first"), standardize=standardize)
    check_choice(name, ("samples", "sets"), weighting=weighting)
    check_choice(name, ALIGN, align=align)
    check_integer(name, 0, first_session=first_session)
    _check_epochs(train_epochs)


def check_head(model: nn.Module, epochs: int, align: str | None) -> None:
    """Refuse models without a head, and arguments that do not go together.

    Args:
        model: With one `RidgeHead`.
        epochs: The strategy's ``train_epochs``, 1.
        align: For scores alone.

    Raises:
        ConfigError: One of these is not so.
    """
    heads = [m for m in model.modules() if isinstance(m, RidgeHead)]
    if len(heads) != 1 or not hasattr(model, "head"):
        raise ConfigError(NO_HEAD)
    _check_epochs(epochs)
    if align and heads[0].num_classes is not None:
        raise ConfigError(
            f"cl_strategy.align={align!r}: aligns scales of scores, and the head has "
            "classes. Leave align out."
        )


def check_head_type(head: object) -> None:
    """Refuse a type of head, before there is a model.

    Raises:
        ConfigError: It is no `RidgeHead`.
    """
    if not (isinstance(head, type) and issubclass(head, RidgeHead)):
        raise ConfigError(NO_HEAD)


def _check_epochs(epochs: int) -> None:
    """Refuse more than one pass over the samples."""
    if epochs != 1:
        raise ConfigError(
            f"cl_strategy.train_epochs={epochs}: StreamingRidge uses every sample "
            "once. Set it to 1; first_session=... trains the network on the first experience."
        )


def chunk_mistakes(arguments: Mapping[str, Any], hidden: bool, mixed: bool) -> list[str]:
    """Return what cannot be done where images arrive in chunks, a line each.

    Args:
        arguments: Of the strategy, by name; those with defaults may be missing.
        hidden: Nobody says where an experience starts.
        mixed: An experience has images of other data sets too.
    """
    found = []
    if arguments.get("first_session"):
        found.append(
            f"cl_strategy.first_session={arguments['first_session']}: trains on the whole first "
            f"experience before its sums are taken. Set it to 0, {ALONE}."
        )
    if arguments.get("standardize") == "first":
        found.append(
            "cl_strategy.standardize='first': the first experience's means are not known when its "
            f"first chunk comes. Set standardize='image', {ALONE}."
        )
    if hidden and arguments.get("strength") == "validation":
        found.append(
            "cl_strategy.strength='validation': an experience's validation data come where it "
            "starts. Set scenario.online.boundaries='known', or strength='gcv'."
        )
    why = "scenario.online.boundaries='known'" if hidden else "scenario.online.blur=0"
    for name, known in OF_ONE_SET.items():
        value = arguments.get(name)
        if (hidden or mixed) and value not in known:
            found.append(
                f"cl_strategy.{name}={value!r}: must know which data set an image is from. Set "
                f"{why}, or leave {name} out."
            )
    return found


def name_of(experience: Any) -> str:  # noqa: ANN401  Avalanche's or ours
    """Return the name of an experience, or its number."""
    return str(getattr(experience, "name", experience.current_experience))
