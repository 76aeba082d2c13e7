"""The description of an exported file, checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cliqa.config.trust import check_names, check_plain, import_custom_modules, is_trusting
from cliqa.registry import DATASETS, GENERATORS, SCENARIOS, TRANSFORMS
from cliqa.utils.errors import ArtifactError

OF_SCENARIOS = (SCENARIOS, DATASETS, GENERATORS, TRANSFORMS)
"""Where the names in a section of data are looked up."""


def _list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(v, kind) for v in value)


def _size(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and _list_of(int)(value) and len(value) == 2 and min(value) > 0
    )


KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "names": ("a list of names", _list_of(str)),
    "classes": ("a list of names", _list_of(str)),
    "channels": ("1 or 3", lambda value: value in (1, 3) and isinstance(value, int)),
    "size": ("[height, width] or null", _size),
    "precision": ("a name", lambda value: isinstance(value, str)),
    "eval_transform": ("a list of steps", lambda v: v is None or _list_of(dict)(v)),
    "scenario": ("a section", lambda value: isinstance(value, dict)),
    "cl_strategy": ("a section", lambda value: isinstance(value, dict)),
    "evaluation": ("a section", lambda value: isinstance(value, dict)),
    "seed": ("an integer", lambda value: isinstance(value, int)),
    "experiences_learnt": ("an integer", lambda value: isinstance(value, int)),
}
"""The parts of a description: the expected kind in words, and its check."""


def check_description(about: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """Return the description of a file, if its parts are of the expected kinds.

    A trusted file has the modules of its run imported.

    Raises:
        ArtifactError: A part of it is something else.
        TrustError: Its preprocessing asks for more than an untrusted file may.
        ConfigError: The file is trusted, and a module of its run cannot be imported.
    """
    check_plain(about, path, "description")
    for key, (expected, fits) in KINDS.items():
        if key in about and not fits(about[key]):
            raise ArtifactError(
                f"{path}: its description is damaged: {key} must be {expected}. Export the "
                "checkpoint again."
            )
    if is_trusting():
        import_custom_modules(about.get("custom_imports"), str(path))
    check_names(about, path, {"eval_transform": (TRANSFORMS,)})
    return dict(about)


def scenario_of(about: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Return the config's section of the data that a file's model was trained on.

    It is checked here, not when the file is opened: images are scored without it.

    Raises:
        TrustError: It asks for more than an untrusted file may.
    """
    check_names(about, path, {"scenario": OF_SCENARIOS})
    return dict(about["scenario"])
