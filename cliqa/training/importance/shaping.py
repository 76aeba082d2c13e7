"""From measured importances of weights to those of a penalty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_choice, check_least, check_positive
from cliqa.models.freezing import check_patterns, matches
from cliqa.training.importance.per_sample import Weights
from cliqa.utils.errors import ConfigError

NORMALIZATIONS = (False, "max", "mean", "layer")


@dataclass(frozen=True)
class Layers:
    """Factors of a penalty's strength by the part of the model.

    Args:
        owner: The method's name, for messages.
        factors: Name of a part -> its factor, >= 0; a name may have ``*`` for any text and includes
            everything below it. The first name that matches a weight counts; a weight that none
            matches has the factor 1. With 0 the part is free.

    Raises:
        ConfigError: The factors are no dict, or one is no number >= 0.
    """

    owner: str
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what are no factors."""
        if not isinstance(self.factors, Mapping):
            raise ConfigError(
                f"{self.owner}: layers must be a dict of factors by parts of the model, e.g. "
                f"{{'head': 0, 'backbone.layer1': 10}}, got {self.factors!r}."
            )
        for name, factor in self.factors.items():
            if isinstance(factor, bool) or not isinstance(factor, (int, float)):
                raise ConfigError(
                    f"{self.owner}: layers['{name}'] must be a number >= 0, got {factor!r}."
                )
            check_least(self.owner, 0, **{f"layers['{name}']": factor})

    def check(self, model: nn.Module) -> None:
        """Refuse names of parts that a model does not have.

        Raises:
            ModelError: A name matches nothing.
        """
        check_patterns(model, list(self.factors), f"{self.owner}: layers")

    def of(self, name: str) -> float:
        """Return the factor of a weight.

        >>> layers = Layers("EWC", {"backbone.stem": 0, "backbone": 2.0})
        >>> layers.of("backbone.stem.weight"), layers.of("backbone.conv.weight"), layers.of("head")
        (0.0, 2.0, 1.0)
        """
        return next((float(f) for part, f in self.factors.items() if matches(name, [part])), 1.0)


@dataclass(frozen=True)
class Shaping:
    """Makes an experience's importances fit for a penalty: clips, takes a power, normalises.

    Measured importances are very uneven: a hundredth of the weights may hold nearly all of the
    sum, so that a strength which holds them leaves all others free. Clipping and a power below 1
    lessen that; a power of 0 makes all weights alike, as the L2 anchor does. Normalising makes a
    strength mean the same in other networks and data.

    Args:
        owner: The method's name, for messages.
        clip: Share of the weights, above 0 and up to 1, whose importances stay as they are; the
            larger ones are set to the largest of these.
        power: Exponent, above 0: 0.5 for the root.
        normalize: Divide by the ``"max"`` or the ``"mean"`` over all weights, or in each
            parameter tensor by its own mean: ``"layer"``; False: do not.

    Raises:
        ConfigError: A value is out of range or unknown.
    """

    owner: str
    clip: float = 1.0
    power: float = 1.0
    normalize: str | bool = False

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        check_positive(self.owner, importance_clip=self.clip, importance_power=self.power)
        if self.clip > 1:
            raise ConfigError(
                f"{self.owner}: importance_clip must lie in 0..1, above 0, got {self.clip!r}."
            )
        check_choice(self.owner, NORMALIZATIONS, normalize=self.normalize)

    def __call__(self, importance: Weights) -> Weights:
        """Return shaped importances of measured ones, both >= 0 and by parameter name."""
        found = importance
        if self.clip < 1 and found:
            values = torch.cat([part.flatten() for part in found.values()])
            most = values.sort().values[max(1, round(self.clip * len(values))) - 1]
            found = {name: part.clamp(max=most) for name, part in found.items()}
        if self.power != 1:
            found = {name: part.pow(self.power) for name, part in found.items()}
        return self._normalized(found) if found else found

    def _normalized(self, importance: Weights) -> Weights:
        """Return importances divided by what `normalize` names."""
        if not self.normalize:
            return importance
        if self.normalize == "layer":
            return {name: _divided(part, part.mean()) for name, part in importance.items()}
        values = torch.cat([part.flatten() for part in importance.values()])
        most = values.max() if self.normalize == "max" else values.mean()
        return {name: _divided(part, most) for name, part in importance.items()}


def _divided(part: Tensor, by: Tensor) -> Tensor:
    """Return a quotient, 0 where all importances are 0."""
    return part / by.clamp_min(torch.finfo(part.dtype).tiny)
