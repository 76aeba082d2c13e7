"""Downloads by torchvision: a failure is one line that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from cliqa.config.trust import TRUST, untrusted_source
from cliqa.utils.errors import DatasetError, TrustError

logger = logging.getLogger(__name__)


def download(fetch: Callable[[], object], name: str, root: Path, otherwise: str) -> None:
    """Have a data set downloaded by `fetch`; `otherwise` is what to do without a network.

    Raises:
        DatasetError: There is no network, the server refuses, or the folder cannot be written to.
        TrustError: An untrusted file asks for it.
    """
    if untrusted_source():
        raise TrustError(
            f"{root}: {name} is not there, and {untrusted_source()} would have it downloaded into "
            f"that folder. {TRUST}"
        )
    logger.info("%s: downloading into %s.", name, root)
    try:
        fetch()
    except (OSError, RuntimeError, HTTPException) as error:  # urllib's URLError is an OSError
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DatasetError(
            f"{root}: the download of {name} failed ({reason}). Try again on a machine with a "
            f"network, or {otherwise}"
        ) from error
