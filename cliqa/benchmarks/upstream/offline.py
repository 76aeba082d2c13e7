"""A block of code that must not fetch anything: Avalanche downloads missing data by itself."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
from collections.abc import Iterator
from typing import Any

from cliqa.utils.errors import DatasetError


class _AskedError(Exception):
    """An address was looked up. It is no OSError: Avalanche tries other addresses after those."""


@contextlib.contextmanager
def no_downloads(message: str) -> Iterator[None]:
    """Raise `message` where the block looks up an internet address, before anything is sent.

    What the block prints is held back until it ends well: torchvision announces its downloads.

    Raises:
        DatasetError: It did, also where the block caught the error.
    """
    asked: list[object] = []

    def refuse(host: object, *_: Any, **__: Any) -> Any:  # noqa: ANN401
        asked.append(host)
        raise _AskedError(message)

    said = io.StringIO()
    lookup = socket.getaddrinfo
    socket.getaddrinfo = refuse
    try:
        with contextlib.redirect_stdout(said):
            yield
    except Exception as error:
        if asked:
            raise DatasetError(message) from error
        raise
    finally:
        socket.getaddrinfo = lookup
    if asked:
        raise DatasetError(message)
    sys.stdout.write(said.getvalue())
