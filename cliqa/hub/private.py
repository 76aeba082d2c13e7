"""What a shared model must not tell: folders and names of the machine, and tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cliqa.config.trust import without_weights
from cliqa.deploy.description import HIDDEN, hide_places
from cliqa.utils.errors import ConfigError

SHARED = ("scenario", "model", "cl_strategy", "evaluation", "seed", "custom_imports")
"""The sections of a config that are shared; loggers, folders and the rest are not."""

PLACE = re.compile(
    r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?(?:[\\/][^\s\\/:'\"<>|]+)+[\\/]([^\s\\/:'\"<>|]+)"
)
"""A path from the root, a home folder or a drive, with its last name; no ratio and no address."""

SECRET = re.compile(r"\bhf_[A-Za-z0-9]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bAKIA[A-Z0-9]{16}\b")
"""Tokens of the Hub, of GitHub and of Amazon."""

VARIABLES = re.compile(r"TOKEN|SECRET|PASSWORD|API_KEY")
"""Names of environment variables whose values are secrets."""

SHORTEST = 8
"""Characters of a value that can be a secret."""


def public_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of a run's config that are shared, without folders of this machine."""
    shown = {key: hidden(config[key]) for key in SHARED if config.get(key) is not None}
    return {**shown, "model": hidden(without_weights(config["model"]))}


def hidden(value: Any) -> Any:  # noqa: ANN401  plain values at any depth
    """Return plain values without the folders of this machine, inside sentences too.

    >>> hidden({"root": "/home/me/data", "note": ["/mnt/d/a.png: too dark", "1/2"]})
    {'root': '(not in the file)/data', 'note': ['(not in the file)/a.png: too dark', '1/2']}
    """
    if isinstance(value, Mapping):
        return {key: hidden(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple(hidden(one) for one in value)
    if isinstance(value, list):
        return [hidden(one) for one in value]
    if isinstance(value, str):
        whole = hide_places(value) if len(value.split()) == 1 else value
        return PLACE.sub(rf"{HIDDEN}/\1", whole) if whole == value else whole
    return value


def check_no_secret(texts: Mapping[str, str]) -> None:
    """Refuse to share what holds a token or the home folder.

    Args:
        texts: The content of the files by their names.

    Raises:
        ConfigError: With the file and the first characters of what was found.
    """
    known = {
        value: f"the value of {name}"
        for name, value in os.environ.items()
        if VARIABLES.search(name) and len(value) >= SHORTEST
    }
    home = str(Path.home())
    if len(home) >= SHORTEST:
        known[home] = "your home folder"
    for file, text in texts.items():
        found = SECRET.search(text)
        if found:
            raise ConfigError(_refusal(file, f"a token ({found[0][:6]}...)"))
        for value, what in known.items():
            if value in text:
                raise ConfigError(_refusal(file, what))


def _refusal(file: str, what: str) -> str:
    return (
        f"{file}: would hold {what}, so nothing is shared. Take it out of the run's config, and "
        "train or share again."
    )
