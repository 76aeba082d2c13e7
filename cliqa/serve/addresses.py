"""Fetching images by their addresses, for services that were started with ``--allow-urls``.

An address is a way into the network that the service stands in (server-side request forgery). So a
name is looked up once; if any of its addresses is not a public one, it is refused; and the
connection goes to the address that was checked, so that a second look-up cannot give another.
Redirects are not followed, and only the standard ports are used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from urllib.parse import urlsplit

from cliqa import __version__
from cliqa.utils.errors import DatasetError

PORTS = {"http": 80, "https": 443}
CONNECT = 5.0
"""Seconds for a connection."""

LONGEST = 2048
CHUNK = 2**16
UNICAST = ipaddress.ip_network("2000::/3")
"""All public addresses of IPv6 lie in it: none of NAT64, nor of networks of the past or to come."""

CLOSED = tuple(
    map(
        ipaddress.ip_network,
        (
            *("2002::/16", "2001::/23"),  # 6to4, Teredo: they lead to an address inside them
            *("3fff::/20", "192.88.99.0/24"),  # documentation; the way to 6to4
            *("192.0.0.0/24", "168.63.129.16/32"),  # two clouds tell machines their secrets there
        ),
    )
)
"""Networks that are not public, or may not be, and that not every Python knows as such."""


def fetch(url: str, most: int, seconds: float) -> bytes:
    """Return what lies at an address.

    Args:
        url: ``http://`` or ``https://``, without a user, at the standard port.
        most: Bytes.
        seconds: For all of it.

    Raises:
        DatasetError: It is no such address, not public, or cannot be fetched so.
    """
    scheme, host, path = _parts(url)
    end = time.monotonic() + seconds
    address = _public_address(host, PORTS[scheme])
    try:
        connection = socket.create_connection(address, timeout=min(CONNECT, seconds))
    except OSError as error:
        raise DatasetError(f"the address does not answer ({error.strerror or error})") from error
    handle = connection.dup()  # TLS makes another socket of this one, and leaves it empty
    watch = threading.Timer(max(0.0, end - time.monotonic()), _cut, [handle])
    watch.daemon = True
    watch.start()  # a server that sends a byte now and then must not hold a thread
    try:
        if scheme == "https":
            context = ssl.create_default_context()
            connection = context.wrap_socket(connection, server_hostname=host)
        content = _content(connection, host, path, most)
        if time.monotonic() >= end:  # the end that was read is that of `watch`
            raise OSError
        return content
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= end
        why = f"it took more than {seconds:.1f} s" if late else str(error)[:200]
        raise DatasetError(f"the address cannot be read ({why})") from error
    finally:
        watch.cancel()
        connection.close()
        handle.close()


def _parts(url: str) -> tuple[str, str, str]:
    """Return an address's scheme, host and path with query."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DatasetError("no valid address") from error
    odd = len(url) > LONGEST or not url.isascii() or any(c <= " " or c == "\x7f" for c in url)
    if odd or parts.scheme not in PORTS or not parts.hostname:
        raise DatasetError("an address must begin with http:// or https:// and hold no blanks")
    if "@" in parts.netloc or port not in (None, PORTS[parts.scheme]):
        raise DatasetError("an address must name no user and no port but the standard one")
    path = parts.path or "/"
    return parts.scheme, parts.hostname, f"{path}?{parts.query}" if parts.query else path


def _public_address(host: str, port: int) -> tuple[str, int]:
    """Return the first address of a host, all of whose addresses are public.

    Raises:
        DatasetError: It is unknown, or one of them is not.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DatasetError("the address's host is unknown") from error
    addresses = [str(row[4][0]) for row in found]
    if not addresses or not all(map(is_public, addresses)):
        raise DatasetError("the address leads into a network that is not public")
    return addresses[0], port


def is_public(text: str) -> bool:
    """Return whether an address is one of the public internet.

    >>> [is_public(a) for a in ("93.184.216.34", "127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254")]
    [True, False, False, False]
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address not in UNICAST:
            return False
    if any(address in network for network in CLOSED):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _content(connection: socket.socket, host: str, path: str, most: int) -> bytes:
    """Return the answer's body over a connection."""
    client = http.client.HTTPConnection(host)
    client.sock = connection
    client.request(
        "GET",
        path,
        headers={"User-Agent": f"cliqa/{__version__}", "Accept": "image/*", "Connection": "close"},
    )
    answer = client.getresponse()
    if answer.status != 200:
        raise ValueError(f"it answers with status {answer.status}; redirects are not followed")
    if answer.length is not None and answer.length > most:
        raise ValueError(f"it has {answer.length} bytes, more than the {most} that are left")
    content = bytearray()
    while chunk := answer.read(CHUNK):
        content += chunk
        if len(content) > most:
            raise ValueError(f"it has more than the {most} bytes that are left")
    if answer.length:
        raise ValueError(f"it ends {answer.length} bytes too early")
    return bytes(content)


def _cut(connection: socket.socket) -> None:
    """End a connection whose time is over; whoever reads from it gets an end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
