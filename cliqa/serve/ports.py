"""The service's port: opened once, before anything else is done, and shared by its processes."""

from __future__ import annotations

import errno
import socket

from cliqa.utils.errors import ConfigError, machine_trouble


def open_port(host: str, port: int, count: int) -> list[socket.socket]:
    """Return sockets that are bound to the same port, one for each process.

    Args:
        host: A name or an address.
        port: 0 for a free one.
        count: How many.

    Raises:
        ConfigError: The host is unknown, or the port is used by another program or not allowed.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"--host {host}: unknown host. Use 127.0.0.1 or 0.0.0.0.") from error
    found: list[socket.socket] = []
    try:
        # Sharing the port would succeed beside a program that shares it too: that is no free one.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(address)
            address = (address[0], alone.getsockname()[1], *address[2:])
        for _ in range(count):
            found.append(socket.socket(family, socket.SOCK_STREAM))
            found[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            found[-1].bind(address)
    except OSError as error:
        for one in found:
            one.close()
        raise _no_port(host, port, error) from error
    return found


def _no_port(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error of a port that cannot be used."""
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"--port {port}: in use at {host} by another program. Choose another.")
    if error.errno == errno.EACCES:
        return ConfigError(f"--port {port}: needs rights of its own. Choose one from 1024 on.")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"--host {host}: no address of this machine. Use 127.0.0.1 or 0.0.0.0.")
    why = machine_trouble(error) or error.strerror
    return ConfigError(f"--host {host} --port {port}: cannot be opened ({why}).")
