"""The only door to the Hub: huggingface_hub, and its errors as lines with a remedy."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliqa import __version__
from cliqa.deploy.libraries import library
from cliqa.engine.shared_model.folder import CONFIG, WEIGHTS
from cliqa.hub.address import OnHub
from cliqa.utils.errors import HubError, first_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FILES = (WEIGHTS, CONFIG, "model.onnx", "results.json", "README.md")
"""The files of a shared model; no other file is sent or fetched."""

TO_LOAD = (WEIGHTS, CONFIG)
"""Those that loading needs."""

ENDPOINT = "https://huggingface.co"
"""The Hub, unless ``HF_ENDPOINT`` names another one."""

LOG_IN = "Log in with: hf auth login (or set HF_TOKEN)"
AGAIN = "Run the same command again"
BUSY = (408, 429)
"""Answers that ask to come again, besides the server's own errors."""

OF_THE_CACHE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR)
"""System errors of a cache that cannot be written to."""


def hub() -> HfApi:
    """Return the Hub's client, of the endpoint ``HF_ENDPOINT`` if that is set.

    Raises:
        ConfigError: huggingface_hub is not installed.
    """
    api: HfApi = library("huggingface_hub", "hub").HfApi(
        endpoint=_endpoint(), library_name="cliqa", library_version=__version__
    )
    return api


def _endpoint() -> str:
    """Return the address of the Hub."""
    return os.environ.get("HF_ENDPOINT") or ENDPOINT


def check_access(repository: str, private: bool = False) -> None:
    """Refuse, before long work, a repository that the result could not be sent to.

    Args:
        repository: ``owner/name``; it need not exist.
        private: Whether it has to be private.

    Raises:
        HubError: Nobody is logged in, the token is not valid or somebody else's, the repository can
            be seen by everybody where it should be private, or the Hub cannot be reached.
    """
    with explained(repository, "logging in"):
        if library("huggingface_hub.constants", "hub").HF_HUB_OFFLINE:
            raise HubError(
                f"{repository}: HF_HUB_OFFLINE is set, so nothing can be sent. Unset it, or write "
                "a folder without the network: --out FOLDER"
            )
        if not library("huggingface_hub", "hub").get_token():
            raise HubError(f"{repository}: nobody is logged in to the Hub. {LOG_IN}")
        api = hub()
        who = api.whoami()
        owners = {str(one["name"]) for one in (who, *who.get("orgs", ()))}
        if repository.partition("/")[0] not in owners:
            raise HubError(
                f"{repository}: you are logged in as {who['name']}, who is not its owner. Choose "
                f"one of {', '.join(sorted(owners))}, or another login. {LOG_IN}"
            )
        if private and api.repo_exists(repository):
            _check_private(api, repository)


def _check_private(api: HfApi, repository: str) -> None:
    """Refuse a repository that everybody can see."""
    if not api.repo_info(repository).private:
        raise HubError(
            f"{repository}: exists already, and everybody can see it. Nothing was sent. Make it "
            f"private in its settings ({api.endpoint}/{repository}/settings), or choose another "
            "name."
        )


def upload(folder: Path, repository: str, private: bool, message: str) -> tuple[str, str]:
    """Send a shared model as one commit; what an interrupted call has sent is not sent again.

    Args:
        folder: It holds the files.
        repository: ``owner/name``; it is made if it does not exist.
        private: Whether the repository has to be private.
        message: Of the commit.

    Returns:
        The address of the page, and the commit.

    Raises:
        HubError: The Hub refuses, or cannot be reached, or has the repository already and shows it
            to everybody where it should be private.
    """
    api = hub()
    with explained(repository, "sending"):
        page = api.create_repo(repository, private=private, exist_ok=True)
        if private:
            _check_private(api, repository)
        commit: Any = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=message,
            allow_patterns=list(FILES),
        )
    return str(page), str(commit.oid)


def download(model: OnHub) -> Path:
    """Return the folder of a model in the Hub's own cache, downloaded where it is not there yet.

    Without a way to the Hub, or with ``HF_HUB_OFFLINE``, it is what was downloaded before.

    Raises:
        HubError: The Hub does not have it, refuses it or cannot be reached, or it is not cliqa's.
    """
    snapshot_download = library("huggingface_hub", "hub").snapshot_download
    with explained(str(model), "fetching"):
        folder = Path(
            snapshot_download(
                model.repository,
                revision=model.revision,
                allow_patterns=list(TO_LOAD),
                library_name="cliqa",
                library_version=__version__,
                endpoint=_endpoint(),
            )
        )
    lacking = [name for name in TO_LOAD if not (folder / name).is_file()]
    if lacking:
        raise HubError(
            f"{model}: has no {' and no '.join(lacking)}, so it is not a model that cliqa has "
            "shared. cliqa loads its own models alone."
        )
    return folder


@contextmanager
def explained(what: str, doing: str) -> Iterator[None]:
    """Let errors of huggingface_hub and of the network be a line with a remedy.

    Args:
        what: The repository, or an address.
        doing: ``"logging in"``, ``"sending"`` or ``"fetching"``.

    Raises:
        HubError: The block raised such an error.
    """
    errors = library("huggingface_hub.errors", "hub")
    try:
        yield
    except HubError:
        raise
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"{what}: nobody is logged in to the Hub. {LOG_IN}") from error
    except errors.LocalEntryNotFoundError as error:
        refusal = error.__cause__
        if isinstance(refusal, errors.HfHubHTTPError):  # it was reached, and has said no
            raise HubError(_refused(what, doing, refusal, errors)) from error
        raise HubError(_not_cached(what, error)) from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"{what}: HF_HUB_OFFLINE is set. Unset it to reach the Hub.") from error
    except errors.HFValidationError as error:
        raise HubError(f"{what}: {first_line(error)}") from error
    except errors.HfHubHTTPError as error:
        raise HubError(_refused(what, doing, error, errors)) from error
    except Exception as error:
        line = _trouble(what, doing, error)
        if line is None:
            raise
        raise HubError(line) from error


def _not_cached(what: str, error: Exception) -> str:
    """Return the line for a model that is not on this machine, and cannot be had now."""
    if library("huggingface_hub.constants", "hub").HF_HUB_OFFLINE:
        why, remedy = "HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE once to download it"
    else:
        why, remedy = f"the Hub cannot be reached ({_cause(error)})", f"{AGAIN} with a connection"
    return f"{what}: not in the Hub's cache on this machine, and {why}. {remedy}."


def _cause(error: BaseException) -> str:
    """Return the first line of the error that an error was raised from."""
    return first_line(error.__cause__ or error)


def _refused(what: str, doing: str, error: Any, errors: Any) -> str:  # noqa: ANN401  the Hub's
    """Return the line for an answer of the Hub that refuses."""
    status = int(error.response.status_code)
    page = f"{ENDPOINT}/{what.removeprefix('hf://').partition('@')[0]}"
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{what}: its owner asks who uses it. Accept the terms on {page}, then log in as that "
            f"user. {LOG_IN}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{what}: the repository has no such revision. Its revisions: {page}/commits/main"
    if status == 401 and not isinstance(error, errors.RepositoryNotFoundError):
        return f"{what}: the Hub does not accept the token (401). {LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return (
            f"{what}: the Hub has no such repository, or it is private and you are not logged in "
            f"as one who may see it. Check the name. {LOG_IN}"
        )
    if status == 403:
        access = "read" if doing == "fetching" else "write"
        return (
            f"{what}: the token may not do this (403). Use one with {access} access to the owner's "
            f"repositories: {ENDPOINT}/settings/tokens"
        )
    if status in BUSY or status >= 500:
        return f"{what}: the Hub is busy or out of order ({status}). {AGAIN} later."
    return f"{what}: the Hub refuses ({status}: {error.server_message or first_line(error)})."


def _trouble(what: str, doing: str, error: Exception) -> str | None:
    """Return the line for an error of the disk or of the network; None for others."""
    module = type(error).__module__.partition(".")[0]
    cache = library("huggingface_hub.constants", "hub").HF_HUB_CACHE
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{what}: the disk is full while {doing} (the Hub's cache is {cache}). Free space "
            "there, or set HF_HUB_CACHE to a folder with room."
        )
    if isinstance(error, OSError) and error.errno in OF_THE_CACHE and _along(error, cache):
        return (
            f"{what}: the Hub's cache {cache} cannot be written to ({error.strerror}). Set "
            "HF_HUB_CACHE to a folder that can."
        )
    if isinstance(error, json.JSONDecodeError):
        return (
            f"{what}: what answers at {_endpoint()} while {doing} is not the Hub, but perhaps a "
            "page to log in to a network, or a proxy. Open the address in a browser."
        )
    if isinstance(error, UnicodeEncodeError):  # a header of the request: the token is its one text
        return f"{what}: the token has characters that no token has. {LOG_IN}"
    if isinstance(error, ConnectionError) or module.startswith(("httpx", "httpcore", "requests")):
        kept = "; what has arrived is not sent again" if doing == "sending" else ""
        other = "" if _endpoint() == ENDPOINT else f" at HF_ENDPOINT {_endpoint()}"
        return (
            f"{what}: no connection to the Hub{other} while {doing} ({first_line(error)}). "
            f"{AGAIN}{kept}."
        )
    return None


def _along(error: OSError, cache: str) -> bool:
    """Return whether a system error is about the cache, a folder above it or something in it."""
    if not isinstance(error.filename, str):
        return False
    path, folder = Path(error.filename).absolute(), Path(cache).absolute()
    return path.is_relative_to(folder) or folder.is_relative_to(path)
