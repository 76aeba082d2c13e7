"""Every strategy and plugin of Avalanche's runs from a config, or names in one line what does."""

from __future__ import annotations

import copy
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import avalanche.training.plugins
import avalanche.training.supervised
import pytest
from avalanche.core import BaseSGDPlugin
from avalanche.training.templates import SupervisedMetaLearningTemplate, SupervisedTemplate

from cliqa.engine.check import check_config
from cliqa.registry import PLUGINS, STRATEGIES
from cliqa.training.avalanche_advice import INSTEAD, INSTEAD_OF_CLASSES
from cliqa.training.avalanche_methods import LEARN, cannot_learn
from cliqa.utils.errors import ConfigError

Config = dict[str, Any]

OF_OURS: dict[str, Config] = {
    "StreamingRidge": {"train_epochs": 1},
    "NearestClassMean": {"train_epochs": 1},
    "FeatureReplay": {"layer": "backbone"},
    "L2P": {},
}
"""Arguments that a method of ours must have."""

HEADS = {"StreamingRidge": "RidgeHead"}
"""The head that a method of ours is for: its own error names it."""


def all_of(package: Any, base: tuple[type, ...]) -> dict[str, type]:
    """Return the strategies or plugins in all modules of a package, by their names."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        try:
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        except ImportError:  # a package that only this method needs
            continue
        for name, value in vars(loaded).items():
            own = inspect.isclass(value) and value.__module__ == loaded.__name__
            if own and issubclass(value, base) and not name.startswith("_"):
                found[name] = value
    return found


STRATEGY = all_of(
    avalanche.training.supervised, (SupervisedTemplate, SupervisedMetaLearningTemplate)
)
PLUGIN = {
    **all_of(avalanche.training.plugins, (BaseSGDPlugin,)),
    "SupervisedPlugin": avalanche.training.plugins.SupervisedPlugin,
}
EVERY = [(STRATEGIES, n, c) for n, c in STRATEGY.items()] + [
    (PLUGINS, n, c) for n, c in PLUGIN.items()
]


@pytest.mark.parametrize("kind", ["classes", "scores"])
@pytest.mark.parametrize(
    ("registry", "name", "component"), EVERY, ids=[f"{r.name}-{n}" for r, n, _ in EVERY]
)
def test_it_learns_or_names_what_does(
    registry: Any, name: str, component: Any, kind: str, tiny_config: Config, split_config: Config
) -> None:
    """Those that learn are trained in `test_avalanche_methods`; the advice is a valid config."""
    if name in LEARN[kind][registry]:
        assert cannot_learn(registry, component, kind) == ""
        return
    config = split_config if kind == "classes" else tiny_config
    strategy = {
        k: v for k, v in config["cl_strategy"].items() if k not in ("type", "mem_size", "plugins")
    }
    asked: Config = {"type": f"{component.__module__}.{name}"}
    of_plugins = registry is PLUGINS
    given = {"type": "Naive", "plugins": [asked]} if of_plugins else asked
    config["cl_strategy"] = {**copy.deepcopy(strategy), **given}
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    lines = [line for line in str(caught.value).splitlines() if "Avalanche's" in line]
    assert len(lines) == 1
    where = "cl_strategy.plugins[0]" if of_plugins else "cl_strategy"
    assert lines[0].startswith(f"{where} '{component.__module__}.{name}': Avalanche's ")
    ours = re.search(r"this package's '(\w+)'\.$", lines[0])
    if ours is None:
        assert re.search(r"(Set \w|Every run|Drop it|script of your own).*\.$", lines[0])
        return
    use = ours[1]
    assert STRATEGIES.registered(use) or PLUGINS.registered(use)
    assert use in STRATEGIES.module_dict or use in PLUGINS.module_dict  # not Avalanche's
    config["cl_strategy"] = {**strategy, "type": use, **OF_OURS.get(use, {})}
    if use in HEADS:
        with pytest.raises(ConfigError, match=f"Set model.head=dict.type='{HEADS[use]}'"):
            check_config(config)
        config["model"]["head"]["type"] = HEADS[use]
    check_config(config)


def test_the_advice_is_of_avalanches() -> None:
    known = {*STRATEGY, *PLUGIN, "CheckpointPlugin", "EvaluationPlugin"}
    for name in {*INSTEAD, *INSTEAD_OF_CLASSES}:
        assert {name, f"{name}Plugin"} & known or name == "LaMAML"


def test_what_is_of_someone_else_is_left_alone() -> None:
    class ICaRL(SupervisedTemplate):
        pass

    assert cannot_learn(STRATEGIES, ICaRL, "classes") == ""


def test_the_numbers_in_the_documentation() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "methods.md"
    text = " ".join(page.read_text(encoding="utf-8").split())
    learn = [len(LEARN[kind][r]) for r in (STRATEGIES, PLUGINS) for kind in ("classes", "scores")]
    told = (
        "Of its {} strategies {} learn classes and {} scores from a config, "
        "of its {} plugins {} and {}"
    )
    assert told.format(len(STRATEGY), *learn[:2], len(PLUGIN), *learn[2:]) in text
