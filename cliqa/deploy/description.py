"""The description of an exported file, checked before anything is built from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cliqa.config.trust import Names, check_names, check_plain, import_custom_modules, is_trusting
from cliqa.utils.errors import ArtifactError

PLAIN_STEPS = frozenset(
    ("Resize", "AdaptiveResize", "ResizePad", "CenterCrop", "FiveCrop", "GridCrop", "ToTensor")
    + ("Normalize", "HyperIQAResize", "RGB")
)
"""Steps that are admitted without a look at the registries, whose rooms import torch."""


HIDDEN = "(not in the file)"
"""In place of a folder of the machine that exported a file."""


def _list_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(v, kind) for v in value)


def _scale(value: object) -> bool:
    if not isinstance(value, dict):
        return value is None
    low, high = (value.get(key) for key in ("low", "high"))
    numbers = isinstance(low, (int, float)) and isinstance(high, (int, float)) and low < high
    return numbers and isinstance(value.get("higher_is_better"), bool)


def _size(value: object) -> bool:
    return value is None or (
        isinstance(value, list) and _list_of(int)(value) and len(value) == 2 and min(value) > 0
    )


KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "names": ("a list of names", _list_of(str)),
    "classes": ("a list of names", _list_of(str)),
    "channels": ("1 or 3", lambda value: value in (1, 3) and isinstance(value, int)),
    "size": ("[height, width] or null", _size),
    "input": ("a name", lambda value: isinstance(value, str)),
    "scale": ("a range and a direction, or null", _scale),
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
    if about.get("input") == "pixels" and bool(about.get("classes")) == bool(about.get("scale")):
        raise ArtifactError(
            f"{path}: its description is damaged: scores need a scale, and classes have none. "
            "Export the checkpoint again."
        )
    if is_trusting():
        import_custom_modules(about.get("custom_imports"), str(path))
    if not all(map(_is_plain, about.get("eval_transform") or ())):
        from cliqa.registry import TRANSFORMS  # noqa: PLC0415  plain files are fast

        check_names(about, path, {"eval_transform": (TRANSFORMS,)})
    return dict(about)


def _is_plain(step: Mapping[str, Any]) -> bool:
    """Return whether a step is one of `PLAIN_STEPS`, with numbers and words."""
    values = [value for key, value in step.items() if key != "type"]
    values = [one for value in values for one in (value if isinstance(value, list) else [value])]
    known = isinstance(step.get("type"), str) and step["type"] in PLAIN_STEPS
    return known and all(
        value is None or isinstance(value, (bool, int, float)) or str(value).isalpha()
        for value in values
    )


def hide_places(value: Any) -> Any:  # noqa: ANN401  plain values at any depth
    """Return a section without the folders of this machine: of such paths the name is left.

    >>> hide_places({"dataset_root": "/home/me/data", "images": "images", "n": 3})
    {'dataset_root': '(not in the file)/data', 'images': 'images', 'n': 3}
    """
    if isinstance(value, Mapping):
        return {key: hide_places(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hide_places(one) for one in value]
    if not isinstance(value, str):
        return value
    paths = (PurePosixPath(value), PureWindowsPath(value))
    outside = any(path.is_absolute() or ".." in path.parts for path in paths)
    return f"{HIDDEN}/{paths[1].name}" if outside or value.startswith("~") else value


def show_places(value: Any, folder: str) -> Any:  # noqa: ANN401  plain values at any depth
    """Return a section with a folder in place of each that `hide_places` has left out."""
    if isinstance(value, Mapping):
        return {key: show_places(one, folder) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [show_places(one, folder) for one in value]
    return folder + value[len(HIDDEN) :] if hides_places(value) else value


def hides_places(value: object) -> bool:
    """Return whether a section has lost a folder to `hide_places`."""
    if isinstance(value, Mapping):
        return any(map(hides_places, value.values()))
    if isinstance(value, list | tuple):
        return any(map(hides_places, value))
    return isinstance(value, str) and value.startswith(HIDDEN)


def of_scenarios() -> tuple[Names, ...]:
    """Return the registries of the names in a section of data."""
    from cliqa.registry import (  # noqa: PLC0415  images are scored without it
        DATASETS,
        GENERATORS,
        SCENARIOS,
        TRANSFORMS,
    )

    return SCENARIOS, DATASETS, GENERATORS, TRANSFORMS


def scenario_of(about: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Return the config's section of the data that a file's model was trained on.

    It is checked here, not when the file is opened: images are scored without it.

    Raises:
        TrustError: It asks for more than an untrusted file may.
    """
    check_names(about, path, {"scenario": of_scenarios()})
    return dict(about["scenario"])
