"""A run's model as data alone: ``model.safetensors`` and ``config.json``, without its training.

The two files are the part of a checkpoint that predicts. Read, they give that part again, in the
checkpoint's own form, so that one code builds models of both:

* ``model.safetensors``: the model's tensors by their own names; what a method needs besides (a
  gate, views, class means) below ``plugins/``. Tensors that share memory are kept once.
* ``config.json``: the format's number, the version of cliqa, the digests, and ``state``: the
  checkpoint's config, names and so on, in which the tensors are named.

Each file has the other's SHA-256 (of ``state``, in its canonical form, and of the weights). It
finds damage and mixed folders; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa import __version__
from cliqa.deploy.libraries import library
from cliqa.engine.shared_model.split_state import TENSOR, Split, joined
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError
from cliqa.utils.io import atomic_open, sha256_of, write_json

FORMAT = 1
"""The format that this version writes, and the newest that it reads."""

WEIGHTS, CONFIG = "model.safetensors", "config.json"

LIBRARY = "cliqa"
MOST_BYTES = 64 << 20
"""Of a ``config.json``; the record of a pruning takes a few hundred thousand."""

NESTED = ("state/", "model/", "plugins/", "pruning/")
"""The starts of names of tensors that are none of the model's own."""

ENTRIES = ("config", "names", "classes", "channels", "next_step", "absent")
"""Entries of a checkpoint, besides its strategy's, that a shared model has."""


def holds_shared_model(folder: str | Path) -> bool:
    """Return whether a folder holds a shared model; a work_dir has checkpoints instead."""
    folder = Path(folder)
    return (folder / WEIGHTS).is_file() and not (folder / "checkpoints").is_dir()


def write_shared(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the part of a checkpoint that predicts into a folder.

    Args:
        folder: It need not exist.
        state: ``ENTRIES`` and ``strategy`` with ``model``, ``plugins`` and ``pruning``.

    Raises:
        CheckpointError: It holds more than tensors and plain types.
        ConfigError: The package safetensors is missing.
        OSError: A file cannot be written.
    """
    safetensors = library("safetensors.torch", "hub")
    split, strategy = Split(), state["strategy"]
    weights: dict[str, Any] = {}
    for name, value in strategy["model"].items():
        entry = split.plain(value, name if isinstance(value, Tensor) else f"model/{name}")
        if entry != {TENSOR: name}:  # its own name is what every reader expects
            weights[name] = entry
    plain = split.plain({key: state[key] for key in ENTRIES if key in state}, "state")
    plain["strategy"] = {
        "model": weights,
        "plugins": split.plain(strategy.get("plugins") or {}, "plugins"),
        "pruning": split.plain(strategy.get("pruning") or [], "pruning"),
    }
    about = {"format": "pt", "library": LIBRARY, "state_sha256": digest_of(plain)}
    content = safetensors.save(split.tensors, metadata=about)
    with atomic_open(folder / WEIGHTS, "wb") as file:
        file.write(content)
    write_json(
        folder / CONFIG,
        {
            "library": LIBRARY,
            "format": FORMAT,
            "cliqa_version": __version__,
            "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(content).hexdigest()},
            "state": plain,
        },
    )


def read_shared(path: Path) -> dict[str, Any]:
    """Return the part of a checkpoint that a shared model holds, unchecked as a checkpoint's is.

    Args:
        path: Its ``model.safetensors``.

    Raises:
        CheckpointError: A file is missing, damaged, of another program, of a newer format, or not
            of the other file.
    """
    config = path.with_name(CONFIG)
    content = _read_json(config)
    _check_format(content, config)
    if not isinstance(content.get("state"), dict):
        raise CheckpointError(f"{config}: damaged: it has no state. {AGAIN}")
    weights = content.get("weights")
    wanted = weights.get("sha256") if isinstance(weights, dict) else None
    tensors = load_checkpoint(path)  # a damaged file's own error comes first
    if wanted != sha256_of(path):
        raise CheckpointError(
            f"{path}: not the weights that {config.name} beside it was written with (another "
            f"SHA-256): one of the files is damaged or of another model. {AGAIN}"
        )
    if _metadata(path).get("state_sha256") != digest_of(content["state"]):
        raise CheckpointError(
            f"{config}: its state has been changed since it was written with {path.name}. {AGAIN}"
        )
    try:
        return _state(content["state"], tensors)
    except (CheckpointError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{config}: its state is damaged: {error} {AGAIN}") from error


AGAIN = "Download or write the whole folder again."


def digest_of(plain: object) -> str:
    """Return the SHA-256 of plain values in a form that does not depend on how they are written.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _state(plain: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the state, with the tensors of the model's own names among its weights."""
    strategy = plain["strategy"]
    own = {name: one for name, one in tensors.items() if not name.startswith(NESTED)}
    state: dict[str, Any] = joined({k: v for k, v in plain.items() if k != "strategy"}, tensors)
    model = {**own, **joined(strategy["model"], tensors)}
    rest = joined({key: strategy[key] for key in ("plugins", "pruning")}, tensors)
    return {**state, "strategy": {"model": model, **rest}}


def _read_json(path: Path) -> dict[str, Any]:
    """Return what a ``config.json`` holds.

    Raises:
        CheckpointError: It is missing, too large, or no JSON object.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: missing. A shared model is the whole folder: {CONFIG} beside {WEIGHTS}. Of "
            f"weights alone, start a model: --cfg-options load_from={path.with_name(WEIGHTS)}"
        )
    if path.stat().st_size > MOST_BYTES:
        raise CheckpointError(f"{path}: too large to be a shared model's. {AGAIN}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error}). {AGAIN}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: a {type(content).__name__}, not a shared model's object.")
    return content


def _check_format(content: Mapping[str, Any], path: Path) -> None:
    """Refuse other programs' files and newer formats."""
    number = content.get("format")
    if content.get("library") != LIBRARY or not isinstance(number, int) or number < 1:
        raise CheckpointError(
            f"{path}: not a model that cliqa has shared (it lacks library: '{LIBRARY}'). cliqa "
            "loads its own models; name another's weights in a config as load_from."
        )
    if number > FORMAT:
        version = " ".join(str(content.get("cliqa_version")).split())[:20]  # a stranger's
        raise CheckpointError(
            f"{path}: of format {number}, written by cliqa {version}; this is cliqa {__version__}, "
            f"which reads formats up to {FORMAT}. Install a newer cliqa."
        )


def _metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a file that has been read as safetensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        found: dict[str, str] = json.loads(file.read(length)).get("__metadata__") or {}
    return found
