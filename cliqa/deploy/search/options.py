"""The options of a search for a deployment: a config's ``deploy`` section."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from cliqa.config.arguments import checked_arguments
from cliqa.config.suggest import closest
from cliqa.deploy.search.auto_optimizer import AutoOptimizer
from cliqa.deploy.search.pareto import Budget
from cliqa.deploy.search.recipes import PRECISIONS, Recipe, standard_recipes
from cliqa.utils.errors import ConfigError
from cliqa.utils.system.extras import install_extra

LEAST = {"epochs": 0, "images": 32, "batch_size": 1, "threads": 1, "rounds": 1}


PRESETS: dict[str, dict[str, Any]] = {
    "research": {"target": "quality", "budget": {}},
    "cloud": {"target": "latency", "budget": {"max_drop": 0.01}},
    "edge": {"target": "size", "budget": {"max_drop": 0.05}, "backends": ("onnxruntime",)},
    "mobile": {
        "target": "size",
        "budget": {"max_drop": 0.05},
        "prunings": (0.3, 0.5),
        "backends": ("onnxruntime",),
    },
    "production": {"target": "size", "budget": {"max_drop": 0.02}, "prunings": (0.3, 0.5)},
}
"""Options by where a model is used; options that are given win."""


@dataclass(frozen=True)
class DeployOptions:
    """What a search tries, how it measures, and what it optimizes.

    Attributes:
        preset: Where the model is used: ``"research"`` (the best quality), ``"cloud"`` (the least
            time, .01 may be lost), ``"edge"`` (the smallest file, .05 may be lost, ONNX Runtime),
            ``"mobile"`` (the same with prunings of .3 and .5) or ``"production"`` (the smallest
            file, .02 may be lost, with prunings); it gives the next four where they are None.
        target: The measure to optimize: ``"size"``, ``"latency"`` or ``"quality"``; None: size.
        budget: Limits by name, see `Budget`; None: at most 0.02 of SRCC or accuracy may be lost.
        prunings: Shares of the channels to prune, beside none; each is fine-tuned. None: none.
        backends: ``"onnxruntime"``, ``"openvino"``, ``"torch"`` (bfloat16); None for the first two
            where they are installed.
        precisions: Of those of the backends: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"``,
            ``"int8-bf16"``; None for all.
        distil: The unpruned model teaches a pruned one.
        epochs: Of that fine-tuning, over the stream's training data.
        images: Training images that a quantization looks at.
        batch_size: Images of a pass that is timed.
        threads: Threads of the CPU that it is timed with.
        rounds: Passes that a time is the median of.

    Raises:
        ConfigError: A name is unknown, or a number out of range.
    """

    preset: str | None = None
    target: str = None  # type: ignore[assignment]  # a string when it is made
    budget: Mapping[str, float] | None = None
    prunings: Sequence[float] = None  # type: ignore[assignment]  # likewise
    backends: Sequence[str] | None = None
    precisions: Sequence[str] | None = None
    distil: bool = True
    epochs: int = 4
    images: int = 128
    batch_size: int = 1
    threads: int = 1
    rounds: int = 15

    def __post_init__(self) -> None:
        for name, value in {"target": "size", "prunings": (), **self._of_preset()}.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for name, least in LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"deploy: {name} must be an integer >= {least}, got {value!r}.")
        _check_keys("deploy.budget", "limit", self.budget or {}, Budget)
        checked_arguments(Budget, self.budget or {}, "deploy.budget.")
        for share in self.prunings:
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
                raise ConfigError(f"deploy.prunings: a share lies between 0 and 1, got {share!r}.")
        if not self.recipes(self.backends or list(PRECISIONS)):
            raise ConfigError(
                "deploy.precisions: it leaves nothing to try. Name one, or leave it out."
            )
        AutoOptimizer(self.target, self.limits)

    def _of_preset(self) -> dict[str, Any]:
        """Return the preset's options.

        Raises:
            ConfigError: It is unknown.
        """
        if self.preset is None:
            return {}
        if self.preset not in PRESETS:
            raise ConfigError(
                f"deploy: unknown preset {self.preset!r}.{closest(str(self.preset), PRESETS)} Use "
                f"{', '.join(PRESETS)}."
            )
        return PRESETS[self.preset]

    def recipes(self, backends: Sequence[str], parts: Sequence[str] = ()) -> list[Recipe]:
        """Return the recipes to try with some backends; see `standard_recipes`."""
        return standard_recipes(self.prunings, backends, self.distil, parts, self.precisions)

    def to_dict(self) -> dict[str, Any]:
        """Return all options in plain types, as a file of JSON holds them."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @property
    def limits(self) -> Budget | None:
        """The budget."""
        return None if self.budget is None else Budget(**self.budget)


def deploy_options(section: Mapping[str, Any]) -> DeployOptions:
    """Return the options of a config's ``deploy`` section.

    Raises:
        ConfigError: A key is unknown, a value is wrong, or a library is missing.
    """
    _check_keys("deploy", "key", section, DeployOptions)
    options = DeployOptions(**checked_arguments(DeployOptions, section, "deploy."))
    check_libraries(options)
    return options


def check_libraries(options: DeployOptions) -> None:
    """Refuse a search for which a library is missing, before a run is trained for it.

    Raises:
        ConfigError: With the extra that brings it.
    """
    exported = set(options.backends or PRECISIONS) - {"torch"}
    needed = [(name, "deploy") for name in ("onnx", "onnxscript", "onnxruntime") if exported]
    needed += [("torch_pruning", "deploy")] if options.prunings else []
    if "openvino" in (options.backends or ()) or _is_of_openvino(options):
        needed += [(name, "openvino") for name in ("openvino", "nncf")]
    for name, extra in needed:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"deploy: the package {name} is not installed. Install it with: "
                f"{install_extra(extra)}"
            )


def _is_of_openvino(options: DeployOptions) -> bool:
    """Return whether OpenVINO alone, of the backends used by default, has the precisions."""
    asked = set(options.precisions or ())
    return options.backends is None and bool(asked) and not asked & set(PRECISIONS["onnxruntime"])


def _check_keys(where: str, what: str, given: Mapping[str, Any], kind: type) -> None:
    """Raise a ConfigError for a key that is no field of a dataclass."""
    known = [one.name for one in fields(kind)]
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown {what} '{key}'.{closest(key, known)} It has {', '.join(known)}."
            )
