"""A choice of a browser, as a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cliqa.app.queue.choices import Stream, component_of, fields_of, methods
from cliqa.app.settings import chosen
from cliqa.config.arguments import arguments_of
from cliqa.config.components import quick_check
from cliqa.config.load import load_config
from cliqa.config.option_values import parse_value
from cliqa.engine.check import check_config
from cliqa.utils.errors import ConfigError

AS_IN_CONFIG = "as in the config"
"""The method that stands in the config which a run starts from."""

NO_QUANTIZATION, HALF, AFTER, WHILE = (
    "none",
    "16 bit",
    "8 bit, after training",
    "8 bit, trained for it (QAT)",
)
QUANTIZATION = (NO_QUANTIZATION, HALF, AFTER, WHILE)

MOST_PRUNED = 0.9
MOST_EPOCHS = 100_000


@dataclass(frozen=True)
class Request:
    """What a browser asks for.

    Attributes:
        stream: A stream's name.
        model: A model's name among the stream's.
        method: A method's name, or `AS_IN_CONFIG`.
        arguments: Values of the method's arguments as text; an empty text leaves the default.
        epochs: Passes over each data set; None for the config's.
        seed: Of all randomness.
        rank: Of the adapters (LoRA); 0 for none.
        pruned: Share of channels to prune after the first data set, 0..0.9.
        quantization: One of `QUANTIZATION`.
    """

    stream: str
    model: str
    method: str = AS_IN_CONFIG
    arguments: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    seed: int = 0
    rank: int = 0
    pruned: float = 0.0
    quantization: str = NO_QUANTIZATION


def config_of(request: Request, streams: Mapping[str, Stream]) -> dict[str, Any]:
    """Return the config of a request, checked as far as is possible without data.

    Every name is looked up among those that are offered, and every value is plain: a browser
    cannot name a file or a module.

    Args:
        request: What is asked for.
        streams: What can be asked for.

    Raises:
        ConfigError: A name is not offered, a value does not fit, or the parts do not fit together.
    """
    template = _template(request, streams)
    _check_numbers(request)
    config: dict[str, Any] = load_config(template)
    strategy = dict(config["cl_strategy"])
    if request.method != AS_IN_CONFIG:
        strategy = _with_method(strategy, request)
    elif any(text for text in request.arguments.values()):
        raise ConfigError(f"{AS_IN_CONFIG}: it takes no arguments here. Choose the method itself.")
    if request.epochs is not None:
        strategy["train_epochs"] = request.epochs
    beside = _beside(request, strategy)
    if beside:
        strategy["plugins"] = [*strategy.get("plugins", ()), *beside]
    config["cl_strategy"], config["seed"] = strategy, request.seed
    if request.quantization != NO_QUANTIZATION:
        half = {"precisions": ["fp16"]} if request.quantization == HALF else {}
        config["deploy"] = {"target": "size", "budget": {"max_drop": 0.01}, **half}
    quick_check(config)  # all misspelt names at once
    check_config(config)
    return config


def _template(request: Request, streams: Mapping[str, Stream]) -> Path:
    """Return the config to start from."""
    stream = streams[chosen(request.stream, streams, "stream")]
    return stream.models[chosen(request.model, stream.models, f"model of {stream.name}")]


def _check_numbers(request: Request) -> None:
    """Refuse numbers out of range."""
    ranges: Sequence[tuple[str, Any, type, float, float]] = (
        ("epochs", request.epochs, int, 1, MOST_EPOCHS),
        ("seed", request.seed, int, 0, 2**32 - 1),
        ("rank", request.rank, int, 0, 1024),
        ("pruned", request.pruned, float, 0, MOST_PRUNED),
    )
    for name, value, kind, low, high in ranges:
        if value is None and name == "epochs":
            continue
        fits = isinstance(value, (int, kind)) and not isinstance(value, bool)
        if not fits or not low <= value <= high:  # not with NaN either
            number = "an integer" if kind is int else "a number"
            raise ConfigError(f"{name}: must be {number} from {low:g} to {high:g}.")
    if request.quantization not in QUANTIZATION:
        raise ConfigError(f"quantization: choose one of {', '.join(QUANTIZATION)}.")


def _with_method(strategy: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return a strategy with another method in place of its own, and of its plugins."""
    chosen(request.method, methods(), "method")
    own = {"type", "plugins"}
    before = component_of(str(strategy.get("type", "Naive")))
    if before is not None:
        known = arguments_of(before)
        own |= {name for name in known if not known[name].module.startswith("avalanche")}
    kept = {name: value for name, value in strategy.items() if name not in own}
    return {"type": request.method, **kept, **_arguments(request)}


def _arguments(request: Request) -> dict[str, Any]:
    """Return the values of the method's arguments that are not left at their defaults."""
    known = {one.name: one for one in fields_of(request.method)}
    found: dict[str, Any] = {}
    for name, text in request.arguments.items():
        if name not in known:
            raise ConfigError(f"{request.method} has no argument {ascii(name)[:40]} to set here.")
        if not isinstance(text, str):
            raise ConfigError(f"{request.method}, {name}: a text is expected.")
        if not text.strip():
            continue
        value = parse_value(text, known[name].default, f"{request.method}, {name}")
        items = value if isinstance(value, (list, tuple)) else [value]
        if not all(item is None or isinstance(item, (bool, int, float, str)) for item in items):
            raise ConfigError(
                f"{request.method}, {name}: a number, a word, or a list of them is expected. "
                "Nested values are for config files."
            )
        if value != known[name].default:
            found[name] = value
    return found


def _beside(request: Request, strategy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the plugins that the switches ask for."""
    names = [strategy.get("type"), *(each.get("type") for each in strategy.get("plugins", ()))]
    found: list[dict[str, Any]] = []
    if request.pruned:
        found.append({"type": "ChannelPruning", "ratio": request.pruned, "round_to": 8})
    if request.rank:
        found.append({"type": "LoRA", "rank": request.rank, "first": "full", "norm": "train"})
    if request.quantization == WHILE:
        found.append({"type": "QAT", "start_experience": 1})
    for plugin in found:
        if plugin["type"] in names:
            raise ConfigError(
                f"{plugin['type']} is in the method already. Switch it off below, or choose "
                "another method."
            )
    return found
