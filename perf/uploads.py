"""A client of the scoring service that knows how to be good, broken and gone.

It speaks HTTP over bare sockets, so that it can also send what no library would.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

BOUNDARY = "7f3a9c"
WAIT = 60.0
"""Seconds for an answer."""


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP; 0 if the connection ended without an answer.
        content: The JSON.
        seconds: From the first byte sent to the last one received.
    """

    status: int
    content: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def jpeg(seed: int, width: int = 48, height: int = 32) -> bytes:
    """Return a small picture as a JPEG."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize((width, height)).save(out, "JPEG")
    return out.getvalue()


def form(images: Sequence[bytes], close: bool = True) -> bytes:
    """Return a multipart body with images."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{k}.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + image
        + b"\r\n"
        for k, image in enumerate(images)
    ]
    return b"".join(parts) + (f"--{BOUNDARY}--\r\n".encode() if close else b"")


def request(
    body: bytes,
    kind: str = f"multipart/form-data; boundary={BOUNDARY}",
    length: int | None = None,
    headers: str = "",
) -> bytes:
    """Return a request as it is sent; `length` may lie."""
    declared = len(body) if length is None else length
    return (
        f"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {declared}\r\n{headers}\r\n"
    ).encode() + body


def good(images: Sequence[bytes]) -> bytes:
    """Return a request for scores."""
    return request(form(images))


def bomb(width: int = 60000, height: int = 60000) -> bytes:
    """Return a PNG of a few bytes that declares very many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def broken(seed: int, image: bytes) -> bytes:
    """Return one of many kinds of broken requests.

    Args:
        seed: Its number; every kind of `MAKERS` comes in turn.
        image: A good image to break.
    """
    draw = random.Random(seed)
    return MAKERS[seed % len(MAKERS)](draw, image)


def _flipped(draw: random.Random, image: bytes) -> bytes:
    """Return an image with bytes changed."""
    content = bytearray(image)
    for _ in range(20):
        content[draw.randrange(2, len(content))] = draw.randrange(256)
    return bytes(content)


Maker = Callable[[random.Random, bytes], bytes]

MAKERS: tuple[Maker, ...] = (
    lambda d, i: request(form([i], close=False)),  # no last boundary
    lambda d, i: request(form([i])[: d.randrange(1, len(i))]),  # cut, with its length right
    lambda d, i: request(form([d.randbytes(d.randrange(1, 5000))])),  # no image
    lambda d, i: request(form([i[: len(i) // 2]])),  # half an image
    lambda d, i: request(d.randbytes(2000)),  # no multipart
    lambda d, i: request(form([i]), "text/html"),  # another kind
    lambda d, i: request(form([i]), "multipart/form-data"),  # no boundary
    lambda d, i: request(form([i]), f"multipart/form-data; boundary={'b' * 3000}"),
    lambda d, i: request(form([bomb()])),  # a bomb
    lambda d, i: request(bomb(70000, 70000), "image/png"),
    lambda d, i: request(form([i]), headers=f"X-Long: {'x' * 100_000}\r\n"),  # huge headers
    lambda d, i: request(form([i]), headers="X: y\r\n" * 10_000),  # many headers
    lambda d, i: request(b"", length=10**12),  # too large, as declared
    lambda d, i: d.randbytes(500) + b"\r\n\r\n",  # no HTTP
    lambda d, i: request(b'{"urls": ["http://127.0.0.1/"]}', "application/json"),
    lambda d, i: request(form([b""])),  # an empty file
    lambda d, i: request(form([i]).replace(b'name="images"', b'name="other"')),
    lambda d, i: request(form([i]).replace(b"Content-Disposition", b"X-Other")),
    lambda d, i: request(form([i] * 200)),  # too many images
    lambda d, i: request(form([_flipped(d, i)[:60]])),  # a damaged header
)
"""Makers of broken requests: of a source of random numbers and a good image."""


async def ask(port: int, message: bytes) -> Answer:
    """Send a request over a connection of its own, and return the answer."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return Answer(0)
    try:
        writer.write(message)
        answer = await asyncio.wait_for(read_answer(reader), WAIT)
    except (OSError, asyncio.IncompleteReadError):  # TimeoutError stays: a hang is no refusal
        return Answer(0)
    finally:
        writer.close()
    answer.seconds = loop.time() - started
    return answer


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Return the next answer of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    content = await reader.readexactly(length)
    return Answer(int(head.split(" ")[1]), json.loads(content))


async def drop(port: int, message: bytes, seed: int) -> None:
    """Begin a request and go: in the middle of it, or while the service works on it."""
    draw = random.Random(seed)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message[: draw.randrange(1, len(message))] if draw.random() < 0.5 else message)
    await asyncio.sleep(draw.random() / 50)
    writer.transport.abort()


async def stream(port: int, messages: Sequence[bytes], connections: int) -> list[Answer]:
    """Send requests over so many connections that are kept, each as soon as one has its answer.

    Returns:
        The answers, in the order of the messages.
    """
    loop = asyncio.get_running_loop()
    answers = [Answer(0)] * len(messages)
    left = iter(range(len(messages)))

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for k in left:
            started = loop.time()
            writer.write(messages[k])
            answers[k] = await asyncio.wait_for(read_answer(reader), WAIT)
            answers[k].seconds = loop.time() - started
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return answers


async def siege(
    port: int, image: Sequence[bytes], bad: int, drops: int, fine: int, at_once: int = 16
) -> tuple[list[Answer], list[Answer]]:
    """Send good, broken and dropped requests, mixed, so many at once.

    Args:
        port: Of the service.
        image: Good images; the requests take them in turns.
        bad: Broken requests.
        drops: Dropped ones.
        fine: Good ones.
        at_once: Requests at a time.

    Returns:
        The answers to the good requests, in order, and to the broken ones.
    """
    gate = asyncio.Semaphore(at_once)

    async def guarded(kind: str, k: int) -> Answer:
        async with gate:
            this = image[k % len(image)]
            if kind == "drop":
                await drop(port, good([this]), k)
                return Answer(0)
            return await ask(port, good([this]) if kind == "good" else broken(k, this))

    kinds = {"good": fine, "bad": bad, "drop": drops}
    plan = [(kind, k) for kind, count in kinds.items() for k in range(count)]
    order = list(range(len(plan)))
    random.Random(0).shuffle(order)
    found = await asyncio.gather(*(guarded(*plan[place]) for place in order))
    answers = dict(zip((plan[place] for place in order), found, strict=True))
    return (
        [answers["good", k] for k in range(fine)],
        [answers["bad", k] for k in range(bad)],
    )
