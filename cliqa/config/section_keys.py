"""The keys of sections that describe no component, read from the sources that take them.

An option of the command line may set such a key where the config file has none, as
``deploy.target=size``. Nothing is imported.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import NamedTuple

from cliqa.config.names import PACKAGE, parse_file
from cliqa.config.older_names import OF_PRETRAINING


class Taker(NamedTuple):
    """The class or function that takes a section's keys as its arguments or fields.

    Attributes:
        file: Its file below the package.
        name: Its name.
        away: Arguments that are no keys.
    """

    file: str
    name: str
    away: tuple[str, ...] = ()


BY_ENGINE = ("self", "model", "amp", "num_workers", "device", "seed", "validate", "after_epoch")
TAKERS: dict[str, tuple[Taker, ...]] = {
    "checkpoint_config.every": (Taker("engine/work_dir/cadence.py", "Cadence"),),
    "deploy": (Taker("deploy/search/options.py", "DeployOptions"),),
    "deploy.budget": (Taker("deploy/search/pareto.py", "Budget"),),
    "load_from": (Taker("models/weights/start.py", "StartOptions"),),
    "pretrain": (Taker("pretraining/pretrainer.py", "Pretrainer", BY_ENGINE),),
    "pretrain.data": (
        Taker("engine/pretrain/check.py", "Source"),
        Taker("pretraining/pairs.py", "PairDataset", ("self", "images", "seed")),
    ),
    "pretrain.anchors": (Taker("pretraining/text_anchors.py", "build_anchors"),),
    "pretrain.projection": (
        Taker(
            "pretraining/projection.py",
            "QualityProjection",
            ("self", "encoder", "anchors", "in_features"),
        ),
    ),
}
"""What takes the keys of each section."""

MORE = {"pretrain": ("anchors", "projection", *OF_PRETRAINING)}
"""Further keys of a section."""


@cache
def keys_of(section: str) -> tuple[str, ...]:
    """Return the keys that a section may have; () for one that describes a component.

    >>> "table" in keys_of("pretrain.data"), "target" in keys_of("deploy"), keys_of("model")
    (True, True, ())
    """
    found = [name for taker in TAKERS.get(section, ()) for name in _names(taker)]
    return tuple(dict.fromkeys([*found, *MORE.get(section, ())]))


def _names(taker: Taker) -> list[str]:
    """Return the fields of a dataclass, or the arguments of a function or a constructor."""
    tree = parse_file(PACKAGE / taker.file) or ast.Module([], [])
    nodes = [node for node in ast.walk(tree) if getattr(node, "name", "") == taker.name]
    found: list[str] = []
    for node in nodes:
        parts = node.body if isinstance(node, ast.ClassDef) else [node]
        for part in parts:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                found.append(part.target.id)
            elif isinstance(part, ast.FunctionDef) and part.name in ("__init__", taker.name):
                found += [one.arg for one in (*part.args.args, *part.args.kwonlyargs)]
    return [name for name in found if name not in taker.away]
