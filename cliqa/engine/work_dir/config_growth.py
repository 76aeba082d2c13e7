"""What a config asks for beyond the one that a run was trained under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cliqa.benchmarks.presets import preset

EPOCHS = "cl_strategy.train_epochs"

BEFORE = "learnt_before"
"""The key of a scenario that only an extension sets."""

EVALUATED = "evaluated_before"
"""Another one, where data sets are only evaluated."""

UNSEEN = "evaluate_only"
"""The key of these data sets."""

LISTS = ("datasets", "order", "buckets", "fixed_class_order", UNSEEN)
"""Lists of a scenario whose end may grow."""

GROUPS = "groups"
"""The key of the values of an attribute that are learnt together; a group is an experience."""

COUNTS = ("n_experiences",)
"""Numbers of a scenario that may grow."""


@dataclass(frozen=True)
class Growth:
    """The differences of a config from an earlier one.

    Attributes:
        stream: Keys that lengthen the stream at its end.
        epochs: More epochs of an experience are asked for.
        other: Keys that differ in another way.
    """

    stream: tuple[str, ...] = ()
    epochs: bool = False
    other: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Whether a run can continue under the config, with ``--extend``."""
        return bool(self.stream or self.epochs) and not self.other


def growth_of(keys: Iterable[str], saved: Mapping[str, Any], config: Mapping[str, Any]) -> Growth:
    """Return the differences between two configs, by whether a run can grow by them.

    Args:
        keys: The dotted keys in which they differ.
        saved: The config that the run was trained under.
        config: The one that it is to continue under.
    """
    old, new = (one.get("scenario") or {} for one in (saved, config))
    stream: dict[str, None] = {}
    epochs, other = False, []
    for key in keys:
        lengthened = _lengthened(key, old, new)
        if key == EPOCHS and _raised(saved.get("cl_strategy"), config.get("cl_strategy")):
            epochs = True
        elif lengthened:
            stream[lengthened] = None
        else:
            other.append(_lengthened(key, new, old) or key)  # what is missing, in one word
    return Growth(tuple(stream), epochs, tuple(dict.fromkeys(other)))


def with_listed_data_sets(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with its data sets as a list where it gives the name of a preset."""
    scenario = config.get("scenario")
    if not isinstance(scenario, Mapping) or not isinstance(scenario.get("datasets"), str):
        return dict(config)
    return {**config, "scenario": {**scenario, "datasets": preset(scenario["datasets"])}}


def with_stages(config: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with where the stream once ended, which only a checkpoint's config knows."""
    old, new = saved.get("scenario") or {}, config["scenario"]
    if not old.get(BEFORE) or new.get(BEFORE):
        return dict(config)
    known = {key: old[key] for key in (BEFORE, EVALUATED) if old.get(key)}
    return {**config, "scenario": {**new, **known}}


def with_stage(config: Mapping[str, Any], saved: Mapping[str, Any], learnt: int) -> dict[str, Any]:
    """Return a config with one more place where the stream ended: after `learnt` experiences.

    Of what is only evaluated there are as many data sets there as the saved config has.
    """
    new = config["scenario"]
    stages = list(new.get(BEFORE, ()))
    added: dict[str, Any] = {BEFORE: [*stages, learnt]}
    if new.get(UNSEEN):
        counts = list(new.get(EVALUATED, ()))
        counts += [0] * (len(stages) - len(counts))
        added[EVALUATED] = [*counts, len(saved["scenario"].get(UNSEEN) or ())]
    return {**config, "scenario": {**config["scenario"], **added}}


def without_stage(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config without the last place that `with_stage` has added."""
    scenario = dict(config["scenario"])
    for key in (BEFORE, EVALUATED):
        if key in scenario:
            scenario[key] = list(scenario[key])[:-1]
            if not scenario[key]:
                del scenario[key]
    return {**config, "scenario": scenario}


def _lengthened(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Return what is added at the end of the stream if a key stands for that."""
    section, _, path = key.partition(".")
    name, _, rest = path.partition(".")
    before, after = old.get(name), new.get(name)
    if section != "scenario":
        return None
    if name == UNSEEN and not before and after:
        return f"scenario.{name}"
    if name == GROUPS and isinstance(before, Mapping) and isinstance(after, Mapping):
        added = [str(key) for key in after if key not in before]
        return next((f"scenario.{name}.{k}" for k in added if f"{rest}.".startswith(f"{k}.")), None)
    if name in COUNTS and _is_more(before, after):
        return f"scenario.{name}"
    index = rest.partition(".")[0]
    both = isinstance(before, (list, tuple)) and isinstance(after, (list, tuple))
    if name in LISTS and both and index.isdecimal() and len(before) <= int(index) < len(after):  # type: ignore[arg-type]
        return f"scenario.{name}[{index}]"
    return None


def _raised(before: object, after: object) -> bool:
    """Return whether a strategy's section asks for more epochs."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return False
    return _is_more(before.get("train_epochs", 1), after.get("train_epochs", 1))


def _is_more(before: object, after: object) -> bool:
    """Return whether both are integers, and the second one is larger."""
    return isinstance(before, int) and isinstance(after, int) and after > before
