"""The port: free, shared by the service's own processes, and never by another program."""

from __future__ import annotations

import socket

import pytest

from cliqa.serve.ports import open_port
from cliqa.utils.errors import ConfigError


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
    [("nowhere.invalid", "unknown host"), ("192.0.2.1", "no address of this machine")],
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
