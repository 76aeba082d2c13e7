"""``hf://owner/name[@revision]``: the address of a model on the Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cliqa.utils.errors import ConfigError

SCHEME = re.compile(r"hf:/{1,2}")
"""The start of an address; `Path` makes one slash of two."""

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}")
FORM = "hf://owner/name or hf://owner/name@revision (a branch, a tag or a commit)"


@dataclass(frozen=True)
class OnHub:
    """A model on the Hub.

    Attributes:
        repository: ``owner/name``.
        revision: A branch, a tag or a commit; None for the newest of the main branch.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


def check_repository(text: str) -> str:
    """Return ``owner/name``, if the Hub can have a repository of that name.

    Raises:
        ConfigError: It cannot.

    >>> check_repository("me/iqa-eva-ava")
    'me/iqa-eva-ava'
    """
    parts = text.split("/")
    valid = len(parts) == 2 and all(map(NAME.fullmatch, parts)) and len(text) <= 96
    if not valid or "--" in text or ".." in text or text.endswith(".git"):
        raise ConfigError(
            f"'{text}': not the name of a repository on the Hub: owner/name, of letters, digits, "
            "'-', '_' and '.', at most 96 in all, without '--' or '..'."
        )
    return text


def on_hub(source: object) -> OnHub | None:
    """Return the model that an address names; None for paths and everything else.

    Raises:
        ConfigError: The address is wrong.

    >>> on_hub("hf://me/iqa@v1.0"), on_hub("work_dirs/demo")
    (OnHub(repository='me/iqa', revision='v1.0'), None)
    """
    start = SCHEME.match(str(source)) if isinstance(source, (str, Path)) else None
    if start is None:
        return None
    name, at, revision = str(source)[start.end() :].partition("@")
    try:
        name = check_repository(name)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error} Write {FORM}.") from error
    if at and (not REVISION.fullmatch(revision) or ".." in revision):
        raise ConfigError(f"{source}: '{revision}' is not a revision. Write {FORM}.")
    return OnHub(name, revision or None)
