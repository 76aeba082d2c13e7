"""The port: free, shared by a service's own processes, and never by another program."""

from __future__ import annotations

import errno
import socket

import pytest

from cliqa.utils.errors import ConfigError
from cliqa.utils.system import ports
from cliqa.utils.system.ports import listening, open_port


def test_a_port_in_use_is_told_even_if_its_user_shares_it() -> None:
    (first,) = open_port("127.0.0.1", 0, 1)
    first.listen()
    port = first.getsockname()[1]
    with pytest.raises(ConfigError, match=f"--port {port}: in use at 127.0.0.1 by another program"):
        open_port("127.0.0.1", port, 2)
    first.close()
    again = open_port("127.0.0.1", port, 2)
    assert {one.getsockname() for one in again} == {("127.0.0.1", port)}
    for one in again:
        one.close()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        *(("nowhere.invalid", "unknown host"), ("a" * 80, "unknown host")),
        ("192.0.2.1", "no address of this machine"),
    ],
)
def test_a_host_that_is_none_is_told(host: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--host {host}: {message}. Use 127.0.0.1"):
        open_port(host, 0, 1)


def test_every_worker_has_a_socket_of_its_own_at_one_port() -> None:
    found = open_port("127.0.0.1", 0, 3)
    assert len({one.fileno() for one in found}) == 3
    assert len({one.getsockname() for one in found}) == 1
    assert all(one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for one in found)
    for one in found:
        one.close()


def test_one_process_shares_its_port_with_nobody() -> None:
    (one,) = open_port("127.0.0.1", 0)
    assert not one.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    one.close()


def test_it_listens_from_the_start() -> None:
    with listening("localhost", 0) as server:
        assert server.family == socket.AF_INET  # of a name's addresses one of IPv4
        socket.create_connection(server.getsockname(), timeout=5).close()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "--port 80: needs rights of its own. Choose one from 1024 on."),
        (errno.EADDRINUSE, "--port 80: in use at 127.0.0.1 by another program."),
        (errno.ENOBUFS, r"--host 127.0.0.1 --port 80: cannot be opened \(no room\)."),
    ],
)
def test_what_the_system_refuses_is_told_and_leaves_nothing_open(
    number: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []

    class Refused(socket.socket):
        def __init__(self, *given: int) -> None:
            super().__init__(*given)
            made.append(self)

        def bind(self, _: object) -> None:
            raise OSError(number, "no room")

    monkeypatch.setattr(ports.socket, "socket", Refused)
    with pytest.raises(ConfigError, match=message):
        open_port("127.0.0.1", 80)
    assert [one.fileno() for one in made] == [-1]


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_a_number_that_is_no_port_is_told(port: int) -> None:
    with pytest.raises(ConfigError, match=rf"--port {port}: must be between 0 \(a free one\)"):
        open_port("127.0.0.1", port)
