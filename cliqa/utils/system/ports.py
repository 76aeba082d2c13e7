"""The port of a server: opened once, before anything else is done, and shared by its processes."""

from __future__ import annotations

import errno
import os
import socket

from cliqa.utils.errors import ConfigError, machine_trouble

HOSTS = "Use 127.0.0.1, or 0.0.0.0 for all addresses of this machine."
LARGEST = 65535
WAITING = 128
"""Connections that may wait to be accepted."""


def check_port(port: int) -> None:
    """Refuse what is no port.

    Raises:
        ConfigError: It lies outside 0..65535.
    """
    if not 0 <= port <= LARGEST:
        raise ConfigError(f"--port {port}: must be between 0 (a free one) and {LARGEST}.")


def open_port(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Return sockets that are bound to the same port, one for each process.

    Args:
        host: A name or an address.
        port: 0 for a free one.
        count: How many; several share the port (SO_REUSEPORT).

    Raises:
        ConfigError: The host is unknown, or the port is used by another program or not allowed.
    """
    check_port(port)
    family, address = _address(host, port)
    found: list[socket.socket] = []
    try:
        # Sharing the port would succeed beside a program that shares it too: that is no free one.
        found.append(_bound(family, address))
        if count > 1:
            address = found[0].getsockname()
            found.pop().close()
            for _ in range(count):
                found.append(_bound(family, address, shared=True))
    except OSError as error:
        for one in found:
            one.close()
        raise _no_port(host, port, error) from error
    return found


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a port; see `open_port`."""
    (found,) = open_port(host, port)
    try:
        found.listen(WAITING)
    except OSError as error:  # another program has begun to listen there just now
        found.close()
        raise _no_port(host, port, error) from error
    return found


def web_address(host: str, port: int) -> str:
    """Return the address of a web server.

    >>> web_address("127.0.0.1", 80), web_address("::1", 8000)
    ('http://127.0.0.1:80', 'http://[::1]:8000')
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _address(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    """Return the family of a host's address and the address; of several one of IPv4.

    Raises:
        ConfigError: The host is unknown.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"--host {host}: unknown host. {HOSTS}") from error
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _bound(family: int, address: tuple[object, ...], shared: bool = False) -> socket.socket:
    """Return a socket that is bound to an address."""
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would take the port from a program that listens
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind(address)
    except BaseException:
        found.close()
        raise
    return found


def _no_port(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error of a port that cannot be used."""
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"--port {port}: in use at {host} by another program. Choose another one, or 0 for a "
            "free one."
        )
    if error.errno == errno.EACCES:
        return ConfigError(f"--port {port}: needs rights of its own. Choose one from 1024 on.")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"--host {host}: no address of this machine. {HOSTS}")
    why = machine_trouble(error) or error.strerror
    return ConfigError(f"--host {host} --port {port}: cannot be opened ({why}).")
