"""Fetching by address: only from the public internet, and never more than allowed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cliqa.serve import addresses
from cliqa.serve.addresses import fetch, is_public
from cliqa.utils.errors import DatasetError


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::", "2001:db8::1", "::127.0.0.1"),
        *("fec0::1", "3fff::1", "5f00::1", "100::1", "::ffff:0:127.0.0.1", "192.88.99.1"),
        *("192.0.0.192", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"),  # of clouds
    ],
)
def test_addresses_inside_a_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "must begin with http"),
        ("ftp://a/b", "must begin with http"),
        ("//a/b", "must begin with http"),
        ("http://", "must begin with http"),
        ("http://a b/", "hold no blanks"),
        ("http://a/\r\nX: y", "hold no blanks"),
        ("http://ä/", "hold no blanks"),
        ("http://a/" + "b" * 3000, "must begin"),
        ("http://me:secret@a/", "no user"),
        ("http://a:8080/", "no port but the standard one"),
        ("https://a:80/", "no port but the standard one"),
        ("http://a:99999/", "no valid address"),
        ("http://[::1/", "no valid address"),
        ("http://127.0.0.1/", "not public"),
        ("http://[::1]/", "not public"),
        ("http://2130706433/", "not public|unknown"),
        ("http://0x7f.1/", "not public|unknown"),
        ("http://localhost/", "not public"),
    ],
)
def test_what_may_not_be_fetched_is_told(url: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fetch(url, 1000, 5.0)


def test_a_name_with_one_address_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(None, None, None, "", (address, 80)) for address in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: rows)
    with pytest.raises(DatasetError, match="not public"):
        fetch("http://two.example/", 1000, 5.0)


def test_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def look_up(*_: object, **__: object) -> list[object]:
        asked.append("name")
        address = "1.1.1.1" if len(asked) == 1 else "127.0.0.1"  # a name that changes
        return [(None, None, None, "", (address, 80))]

    def connect(address: object, timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(DatasetError, match="does not answer"):
        fetch("http://changes.example/", 1000, 5.0)
    assert asked == ["name", ("1.1.1.1", 80)]


Serve = Callable[[bytes], tuple[str, list[bytes]]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Return a function that serves an answer once, at an address that counts as public."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    end = threading.Event()
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    monkeypatch.setitem(addresses.PORTS, "http", listener.getsockname()[1])

    def serve(answer: bytes) -> tuple[str, list[bytes]]:
        def run() -> None:
            connection, _ = listener.accept()
            seen.append(connection.recv(4096))
            connection.sendall(answer)
            if answer.endswith(b"..."):  # it goes on, too slowly
                end.wait(10)
            connection.close()

        threading.Thread(target=run, daemon=True).start()
        return "http://127.0.0.1/a.png?b=1", seen

    yield serve
    end.set()
    listener.close()


def test_what_lies_there_comes_back(server: Serve) -> None:
    url, seen = server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
    assert fetch(url, 3, 5.0) == b"abc"
    assert seen[0].startswith(b"GET /a.png?b=1 HTTP/1.1\r\nHost: 127.0.0.1")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 302 F\r\nLocation: http://10.0.0.1/\r\n\r\n", "302; redirects are not"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "9999 bytes, more than the 10"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 11, "more than the 10 bytes"),
        (b"nonsense", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "cannot be read"),
    ],
)
def test_other_answers_are_refused(server: Serve, answer: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fetch(server(answer)[0], 10, 5.0)


def test_a_slow_server_holds_nobody(server: Serve) -> None:
    started = time.monotonic()
    with pytest.raises(DatasetError, match=r"it took more than 0\.2 s"):
        fetch(server(b"HTTP/1.1 200 OK\r\nX: ...")[0], 10, 0.2)
    assert time.monotonic() - started < 5


def test_a_slow_server_holds_nobody_over_tls(
    server: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        def wrap_socket(self, plain: socket.socket, server_hostname: str) -> socket.socket:
            made = socket.socket(fileno=plain.detach())  # as ssl does
            made.settimeout(8)
            return made

    monkeypatch.setattr(addresses.ssl, "create_default_context", Context)
    monkeypatch.setitem(addresses.PORTS, "https", addresses.PORTS["http"])
    url = server(b"HTTP/1.1 200 OK\r\nX: ...")[0].replace("http:", "https:")
    started = time.monotonic()
    with pytest.raises(DatasetError, match=r"it took more than 0\.2 s"):
        fetch(url, 10, 0.2)
    assert time.monotonic() - started < 5
