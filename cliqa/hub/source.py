"""A model's source on this machine: a run's folder, or what is downloaded from the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from cliqa.hub.address import OnHub, on_hub
from cliqa.utils.errors import ConfigError
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


def check_run_folder(run: str | Path) -> None:
    """Refuse to share what is no folder, before anything slow is imported.

    Raises:
        ConfigError: It is none.
    """
    if not Path(run).is_dir():
        raise ConfigError(f"{run}: give the work_dir of a run, with its results.json.")
