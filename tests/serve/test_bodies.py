"""The images in a body: every kind that is read, in pieces of any size, and every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cliqa.serve.answers import RefusalError
from cliqa.serve.bodies import Body, Budget, DisconnectedError, read_body
from cliqa.serve.options import ServiceOptions

BOUNDARY = "edge"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(content: bytes, header: str = 'form-data; name="images"; filename="a.png"') -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: {header}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def read(
    chunks: Sequence[bytes],
    kind: str = FORM,
    headers: dict[str, str] | None = None,
    budget: Budget | None = None,
    gone: bool = False,
    **options: Any,
) -> Body:
    """Read a body that arrives in pieces."""
    left = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    left.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b""})

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    body = Body()
    given = {"content-type": kind, **(headers or {})}
    limits = ServiceOptions("m", **options)
    own = budget or Budget(limits.pending_bytes)
    asyncio.run(read_body(receive, given, limits, own, body))
    assert own.held == body.size
    return body


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_a_form_is_read_in_pieces_of_any_size(step: int) -> None:
    tricky = f"\r\n--{BOUNDARY[:-1]}\r\n--".encode()
    whole = part(b"one") + part(tricky, 'form-data; filename="b.png"; name="images"') + END
    body = read([whole[k : k + step] for k in range(0, len(whole), step)])
    assert body.images == [("a.png", b"one"), ("b.png", tricky)]
    assert body.size == len(whole)


def test_an_image_as_it_is() -> None:
    assert read([b"ab", b"c"], "image/jpeg").images == [("1", b"abc")]
    assert read([b"abc"], "application/octet-stream").images == [("1", b"abc")]
    assert read([], "image/png").images == [("1", b"")]


def test_names_are_cut_and_never_missing() -> None:
    header = 'form-data; name="images"; filename="{}"'
    names = ["x" * 999, "", "Bäume.png", "../../etc/passwd"]
    body = read([part(b"i", header.format(name)) for name in names] + [END])
    assert [name for name, _ in body.images] == ["x" * 255, "2", "Bäume.png", "../../etc/passwd"]


def test_addresses_are_read_where_they_are_allowed() -> None:
    body = read([b'{"urls": ["https://a/b.png"]}'], "application/json", allow_urls=True)
    assert body.urls == ["https://a/b.png"]


@pytest.mark.parametrize(
    ("chunks", "kind", "status", "message"),
    [
        ([part(b"a")], FORM, 400, "ends before its last boundary"),
        ([END], FORM, 400, "cannot be read|holds no file"),
        ([b"nonsense"], FORM, 400, "multipart body cannot be read"),
        ([b""], "multipart/form-data", 400, "names no boundary"),
        ([b""], f"multipart/form-data; boundary={'b' * 999}", 400, "cannot be read"),
        ([part(b"a", 'form-data; name="x"')], FORM, 400, "field 'x'. Send files in the field"),
        (
            [part(b"a", 'form-data; name="images"')],
            FORM,
            400,
            r"'images' without a file name.*@photo\.jpg",
        ),
        ([part(b"a", "nonsense")], FORM, 400, "field ''"),
        ([part(b"a") * 3], FORM, 413, "More than 2 images"),
        ([b"a" * 600, b"b" * 600], "image/png", 413, "more than 1000 bytes"),
        ([part(b"a" * 990)], FORM, 413, "more than 1000 bytes"),
        ([b""], "text/html", 415, "Content-Type 'text/html'. Send multipart/form-data"),
        ([b""], "", 415, "Content-Type 'missing'"),
        ([b"{}"], "application/json", 415, r"Addresses of images are off \(--allow-urls\)"),
    ],
)
def test_what_is_wrong_is_told(chunks: list[bytes], kind: str, status: int, message: str) -> None:
    with pytest.raises(RefusalError, match=message) as error:
        read(chunks, kind, max_bytes=1000, max_images=2)
    assert error.value.status == status


@pytest.mark.parametrize("length", ["1001", "9" * 40, "-1", "many"])
def test_a_declared_length_is_refused_before_anything_is_read(length: str) -> None:
    with pytest.raises(RefusalError, match="more than 1000 bytes"):
        read([], "image/png", {"content-length": length}, max_bytes=1000)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"urls": []}', '{"urls": "x"}', '{"urls": [1]}'])
def test_other_json_is_no_list_of_addresses(text: str) -> None:
    with pytest.raises(RefusalError, match=r'Send \{"urls"'):
        read([text.encode()], "application/json", allow_urls=True)


def test_there_may_be_too_many_addresses() -> None:
    with pytest.raises(RefusalError, match="More than 1 images"):
        read([b'{"urls": ["a", "b"]}'], "application/json", allow_urls=True, max_images=1)


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity"])
def test_a_compressed_body_is_refused_before_it_is_read(coding: str) -> None:
    with pytest.raises(RefusalError, match="send the body as it is, not compressed") as error:
        read([], "image/png", {"content-encoding": coding})
    assert error.value.status == 415
    assert read([b"x"], "image/png", {"content-encoding": "identity"}).images == [("1", b"x")]


def test_a_process_holds_so_many_bytes() -> None:
    budget = Budget(10)
    with pytest.raises(RefusalError, match="holds as many bytes") as error:
        read([b"123456", b"123456"], "image/png", budget=budget)
    assert error.value.status == 429


def test_a_client_that_goes_is_noticed() -> None:
    with pytest.raises(DisconnectedError):
        read([b"123"], "image/png", gone=True)
