"""The pages of all registered components."""

from __future__ import annotations

from docstrings import argument_rows, table, text_of

import cliqa.registry as registries
from cliqa.engine.check import BY_ENGINE  # the import registers other libraries' components too
from cliqa.engine.sections import TEMPLATE

COMMON = (*BY_ENGINE, *TEMPLATE)
"""Arguments of every strategy, which the page of config keys explains."""

KINDS = {
    "scenarios": ("SCENARIOS", "Streams", "`scenario.type`"),
    "datasets": ("DATASETS", "Data sets", "`scenario.datasets`"),
    "generators": ("GENERATORS", "Generators of demo data", "`scenario.generate`"),
    "transforms": (
        "TRANSFORMS",
        "Transforms",
        "`scenario.train_transform` and `scenario.eval_transform`",
    ),
    "models": ("MODELS", "Models and their parts", "`model`"),
    "losses": ("LOSSES", "Losses", "`cl_strategy.loss` and `pretrain.loss`"),
    "strategies": (
        "STRATEGIES",
        "Strategies",
        "`cl_strategy.type` ([keys that all strategies share](../config.md#cl_strategy))",
    ),
    "plugins": ("PLUGINS", "Plugins", "`cl_strategy.plugins`, and `cl_strategy.type` on its own"),
    "optimizers": ("OPTIMIZERS", "Optimizers", "`cl_strategy.optimizer`"),
    "schedulers": ("LR_SCHEDULERS", "Learning-rate schedulers", "`cl_strategy.scheduler`"),
    "metrics": ("METRICS", "Metrics", "`metrics`"),
    "loggers": ("LOGGERS", "Loggers", "`loggers`"),
}
"""Pages of components: the registry's variable, the title, and the config keys that name them."""


def component_page(kind: str) -> str:
    """Return the page of one registry."""
    variable, title, where = KINDS[kind]
    registry = getattr(registries, variable)
    registry.import_from_location()
    parts = [f"# {title}", f"What {where} may name. Our own components:"]
    parts += ["" if registry.module_dict else "None: all come from the libraries below."]
    for name in sorted(registry.module_dict):
        component = registry.module_dict[name]
        rows = argument_rows(component, COMMON if kind == "strategies" else ())
        arguments = table(("argument", "type", "default", "meaning"), rows)
        parts += [f"## {name}", text_of(component), _processes(kind, component), arguments]
    others = upstream_names(registry)
    if others:
        names = ", ".join(f"`{name}`" for name in others)
        parts += [
            "## From other libraries",
            "These names work too; their arguments are those of the library's documentation. "
            "Where a component of ours has the same name, the library's is reached with a prefix, "
            "as `avalanche.EWC`.",
            names,
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _processes(kind: str, component: object) -> str:
    """Return how a method works in a run of several processes; nothing of other components."""
    if kind not in ("strategies", "plugins"):
        return ""
    how = vars(component).get("distributed")
    where = "[In several processes](../../how-to/several_processes.md)"
    return f"{where}: {how}." if how else "In a single process alone."


def upstream_names(registry: registries.ComponentRegistry) -> list[str]:
    """Return the names that other libraries bring, without ours and those that cannot be used."""
    own = registry.module_dict
    usable = registry.name not in ("strategy", "plugin")
    return [
        name
        for name in registry.names()
        if name not in own and (usable or registry.for_files(registry.registered(name)))
    ]
