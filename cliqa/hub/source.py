"""A model's source on this machine, downloaded from the Hub where it is an address of it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from cliqa.hub.address import OnHub, on_hub
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

S = TypeVar("S")


def on_this_machine(source: S) -> S | Path:
    """Return the folder of a model of the Hub, downloaded where it is not yet; other sources as is.

    Args:
        source: ``hf://owner/name[@revision]``, or anything else.

    Raises:
        ConfigError: The address is wrong, or huggingface_hub is not installed.
        HubError: The Hub does not have it, or refuses or cannot send it.
    """
    found = on_hub(source)
    if found is None:
        return source
    from cliqa.hub.remote import download  # noqa: PLC0415  other sources need none of it

    folder = download(found)
    commit = folder.name
    pinned = OnHub(found.repository, commit)
    logger.info("%s: revision %s (%s names it for good)", found, commit[:12], pinned)
    return folder
