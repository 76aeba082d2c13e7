"""The initial weights of a training (``load_from``): loading, dropping and freezing parts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from cliqa.config.arguments import checked_arguments
from cliqa.config.suggest import closest, listed
from cliqa.models.freezing import FreezeReport, check_patterns, freeze_parts
from cliqa.models.weights.gaps import SHOWN
from cliqa.models.weights.weights import WeightReport, load_weights
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)

WHERE = "load_from"
"""The config's key, for messages."""


@dataclass(frozen=True)
class StartOptions:
    """The keys of a source; see `start_from`."""

    path: str | Path
    prefix: str = ""
    drop: Sequence[str] = ()
    freeze: Sequence[str] = ()
    strict: bool = True


@dataclass(frozen=True)
class StartReport:
    """The initial weights of a model.

    Attributes:
        weights: The loaded tensors of the file.
        frozen: The frozen part.
    """

    weights: WeightReport
    frozen: FreezeReport

    def __str__(self) -> str:
        text = f"{WHERE} {self.weights}"
        if self.frozen.tensors:
            names = listed(self.frozen.modules, SHOWN)
            text += f"; {self.frozen}{': ' if names else ''}{names}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the report in plain types, as JSON holds them."""
        weights = self.weights
        return {
            "path": str(weights.path),
            "loaded": len(weights.matched),
            "tensors": weights.total,
            "renaming": weights.renaming,
            "missing": list(weights.missing),
            "mismatched": list(weights.mismatched),
            "unexpected": list(weights.unexpected),
            "dropped": list(weights.dropped),
            "frozen": {
                "modules": list(self.frozen.modules),
                "tensors": self.frozen.tensors,
                "values": self.frozen.values,
            },
        }


def check_start(source: str | Path | Mapping[str, Any]) -> None:
    """Check the form of a source; the file is not read.

    Args:
        source: As for `start_from`.

    Raises:
        ConfigError: It is neither a path nor a dict with a path, has an unknown key, or a value of
            a wrong type.
    """
    _arguments(source)


def start_from(model: nn.Module, source: str | Path | Mapping[str, Any]) -> StartReport:
    """Load a file's weights into a model and freeze parts of it: a config's ``load_from``.

    Args:
        model: The model. The frozen part is stored in ``model.frozen``, for `set_training`.
        source: A file of weights or a run's checkpoint; or a dict:

            * ``path``: the file.
            * ``prefix``: use only the file's tensors below this name (``"teacher"``).
            * ``drop``: names of the model's parts that start anew: ``["head"]``, if the file has
              none, or one of other classes.
            * ``freeze``: names of the model's parts that are not trained; see `freeze_parts`.
            * ``strict``: False loads whatever fits; otherwise all that is not dropped must be in
              the file, and nothing else of these parts.

    Returns:
        The loaded and frozen tensors; also logged, as a warning if many are left over.

    Raises:
        ConfigError: As `check_start`.
        CheckpointError: The file cannot be read safely.
        ModelError: The weights do not fit, or `drop` or `freeze` matches nothing; the model is not
            changed.
    """
    options = _arguments(source)
    freeze = options.pop("freeze")
    check_patterns(model, freeze, f"{WHERE}.freeze")
    check_patterns(model, options["drop"], f"{WHERE}.drop")
    weights = load_weights(model, **options, log=False)
    report = StartReport(weights, _freeze(model, freeze))
    logger.log(logging.WARNING if weights.is_doubtful else logging.INFO, "%s", report)
    return report


def _freeze(model: nn.Module, patterns: list[str]) -> FreezeReport:
    """Freeze more parts, and store the report in the model."""
    earlier = getattr(model, "frozen", None)
    modules = earlier.modules if isinstance(earlier, FreezeReport) else ()
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    report = freeze_parts(model, [*modules, *fixed, *patterns])
    if report.modules or report.tensors:
        model.frozen = report  # type: ignore[assignment]  # a plain attribute, no tensor
    return report


def _arguments(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return every option of a source, checked."""
    if isinstance(source, str | Path):
        source = {"path": source}
    if not isinstance(source, Mapping):
        raise ConfigError(
            f"{WHERE}: expected a path or dict(path=..., drop=[...], freeze=[...]), got {source!r}."
        )
    known = [field.name for field in fields(StartOptions)]
    for key in source:
        if key == "least_matched":
            raise ConfigError(
                f"{WHERE}.least_matched: all that is not named in drop must be in the file now. "
                "Write strict=False in its place to load whatever fits."
            )
        if key not in known:
            raise ConfigError(
                f"{WHERE}: unknown key '{key}'.{closest(str(key), known)} "
                f"It accepts {', '.join(known)}."
            )
    if not source.get("path"):
        raise ConfigError(
            f"{WHERE}.path: expected the path of a file of weights, got {source.get('path')!r}."
        )
    options = StartOptions(**checked_arguments(StartOptions, source, f"{WHERE}."))
    path = home_path(options.path)
    return {
        **vars(options),
        "path": path,
        "drop": list(options.drop),
        "freeze": list(options.freeze),
    }
