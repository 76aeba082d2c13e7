"""The images in a request's body, with limits that are checked while it arrives.

Three kinds of body are read: ``multipart/form-data`` with files in the field ``images``, one image
as it is (``image/jpeg`` and so on, ``application/octet-stream``), and, where the service was
started with ``--allow-urls``, ``{"urls": [...]}``. Nothing is written to a disk.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from cliqa.serve.answers import RefusalError
from cliqa.serve.options import ServiceOptions

FIELD = "images"
_FILES = f"files in the field '{FIELD}' (curl -F {FIELD}=@photo.jpg)"
LONGEST_NAME = 255
LONGEST_LIST = 2**16
"""Bytes of a list of addresses."""

BINARY = "application/octet-stream"
FORM = "multipart/form-data"
JSON = "application/json"

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class DisconnectedError(Exception):
    """The client is gone."""


@dataclass
class Budget:
    """The bytes of bodies that a process holds.

    Args:
        most: How many it may.
    """

    most: int
    held: int = 0

    def take(self, count: int) -> None:
        """Hold more bytes.

        Raises:
            RefusalError: There is no room.
        """
        if self.held + count > self.most:
            raise RefusalError(429, "The service holds as many bytes as it may. Try later.")
        self.held += count


@dataclass
class Body:
    """What a request's body holds.

    Attributes:
        images: Names and bytes.
        urls: Addresses of images.
        size: The bytes that were taken from the budget.
    """

    images: list[tuple[str, bytes]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    size: int = 0


async def read_body(
    receive: Receive,
    headers: Mapping[str, str],
    options: ServiceOptions,
    budget: Budget,
    body: Body,
) -> None:
    """Read the images of a request.

    Args:
        receive: Gives the messages of ASGI.
        headers: The request's, with names in small letters.
        options: The limits.
        budget: Pays for the bytes.
        body: Is filled; ``size`` is right at every moment, also if this fails.

    Raises:
        RefusalError: The body is too large, of another kind, or damaged.
        DisconnectedError: The client is gone.
    """
    kind, parameters = parse_options_header(headers.get("content-type", ""))
    content = kind.decode("latin-1").lower()
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusalError(415, "Content-Encoding: send the body as it is, not compressed.")
    check_length(headers.get("content-length"), options.max_bytes)
    if content == FORM:
        sink: _Form | _Whole = _Form(parameters.get(b"boundary", b""), options.max_images)
    elif content == BINARY or content.startswith("image/"):
        sink = _Whole(options.max_bytes)
    elif content == JSON and options.allow_urls:
        sink = _Whole(LONGEST_LIST)
    else:
        raise _other_kind(content, options.allow_urls)
    try:
        while await _taken(receive, sink, options.max_bytes, budget, body):
            pass
        if isinstance(sink, _Form):
            body.images = sink.files()
        elif content == JSON:
            body.urls = _urls(sink.content(), options.max_images)
        else:
            body.images = [("1", sink.content())]
    finally:
        sink.close()


async def _taken(
    receive: Receive, sink: _Form | _Whole, most: int, budget: Budget, body: Body
) -> bool:
    """Take the next part of a body; return whether there is more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise DisconnectedError
    chunk = message.get("body", b"")
    if body.size + len(chunk) > most:
        raise _too_large(most)
    budget.take(len(chunk))
    body.size += len(chunk)
    sink.write(chunk)
    return bool(message.get("more_body", False))


def check_length(text: str | None, most: int) -> None:
    """Refuse a declared length that is too large, before anything is read.

    Raises:
        RefusalError: It is.
    """
    if text is not None and (len(text) > 19 or not text.isdecimal() or int(text) > most):
        raise _too_large(most)


class _Whole:
    """A body that is one thing.

    Args:
        most: Its bytes.
    """

    def __init__(self, most: int) -> None:
        self._most, self._content = most, bytearray()

    def write(self, chunk: bytes) -> None:
        """Add a part of the body."""
        if len(self._content) + len(chunk) > self._most:
            raise _too_large(self._most)
        self._content += chunk

    def content(self) -> bytes:
        """Return the whole."""
        return bytes(self._content)

    def close(self) -> None:
        """Let go of what was read: the trace of an error may keep this object for a while."""
        self._content = bytearray()


class _Form:
    """A form with files, parsed as it arrives.

    Args:
        boundary: What stands between its parts.
        most: Files.
    """

    def __init__(self, boundary: bytes, most: int) -> None:
        if not boundary:
            raise RefusalError(400, "The multipart body's header names no boundary.")
        self._most, self._whole = most, False
        self._files: list[tuple[str, bytearray]] = []
        self._header, self._value, self._disposition = b"", b"", b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_header,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _damaged(error) from error

    def write(self, chunk: bytes) -> None:
        """Add a part of the body."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _damaged(error) from error

    def files(self) -> list[tuple[str, bytes]]:
        """Return the files' names and bytes."""
        if not self._whole:
            raise RefusalError(400, "The multipart body ends before its last boundary.")
        if not self._files:
            raise RefusalError(400, f"The form holds no file. Send {_FILES}.")
        return [(name, bytes(content)) for name, content in self._files]

    def close(self) -> None:
        """Let go of what was read, and of the parser, which holds this object as it holds it."""
        self._files.clear()
        self._parser.callbacks.clear()

    def _begin(self) -> None:
        self._disposition = b""

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers(self) -> None:
        _, given = parse_options_header(self._disposition)
        name = _text(given.get(b"name", b""))
        if name != FIELD or b"filename" not in given:
            what = f"field {name[:80]!r}" + (" without a file name" if name == FIELD else "")
            raise RefusalError(400, f"The form has the {what}. Send {_FILES} alone.")
        if len(self._files) >= self._most:
            raise _too_many(self._most)
        shown = _text(given[b"filename"])[:LONGEST_NAME] or str(len(self._files) + 1)
        self._files.append((shown, bytearray()))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._files[-1][1].extend(data[start:end])

    def _on_end(self) -> None:
        self._whole = True


def _urls(content: bytes, most: int) -> list[str]:
    """Return the addresses in a list."""
    try:
        found = json.loads(content)["urls"]
        right = isinstance(found, list) and all(isinstance(url, str) for url in found)
    except (ValueError, KeyError, TypeError, RecursionError):
        right = False
    if not right or not found:
        raise RefusalError(400, 'Send {"urls": ["https://...", ...]} in JSON.')
    if len(found) > most:
        raise _too_many(most)
    return list(found)


def _text(data: bytes) -> str:
    """Return a name; one that is no UTF-8 is read as Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _too_large(most: int) -> RefusalError:
    return RefusalError(413, f"The body has more than {most} bytes. Send fewer or smaller images.")


def _too_many(most: int) -> RefusalError:
    return RefusalError(413, f"More than {most} images. Send them in several requests.")


def _damaged(error: Exception) -> RefusalError:
    return RefusalError(400, f"The multipart body cannot be read ({str(error)[:200].rstrip('.')}).")


def _other_kind(content: str, urls: bool) -> RefusalError:
    also = f", or {JSON} with addresses" if urls else ""
    off = " Addresses of images are off (--allow-urls)." if content == JSON else ""
    return RefusalError(
        415,
        f"Content-Type {content[:80] or 'missing'!r}. Send {FORM} with the field '{FIELD}', or one "
        f"image as image/jpeg, image/png and so on, or {BINARY}{also}.{off}",
    )
