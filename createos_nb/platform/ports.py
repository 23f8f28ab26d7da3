"""Ports: who listens where on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from ipaddress import ip_address

import psutil

from createos_nb.platform.children import Child

_LOOPBACK = "127.0.0.1"


def sockets(child: Child) -> frozenset[int]:
    """Return the inodes of all sockets that the child's own processes hold."""
    found = set()
    for process in child.family():
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{process.pid}/fd"):
                with suppress(OSError):
                    target = os.readlink(entry.path)
                    if target.startswith("socket:["):
                        found.add(int(target[8:-1]))
    return frozenset(found)


def open_to_others(child: Child) -> list[str]:
    """Return the addresses, other than this machine's own loopback, on which the child's processes listen."""
    found = set()
    for process in child.family():
        with suppress(psutil.Error):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and not ip_address(connection.laddr.ip).is_loopback:
                    found.add(connection.laddr.ip)
    return sorted(found)


async def accepting(child: Child) -> list[tuple[str, int]]:
    """Return the addresses on which the child's own processes accept connections."""
    return [address for address in sorted(_listeners(child)) if await _accepts(*address)]


def _listeners(child: Child) -> set[tuple[str, int]]:
    """Addresses the child's own processes listen on, as this machine reaches them."""
    found = set()
    for process in child.family():
        with suppress(psutil.Error):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    local = connection.laddr
                    found.add((local.ip if local.ip == "::1" else _LOOPBACK, local.port))
    return found


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 1)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def free() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def taken(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.connect((_LOOPBACK, port))
        except OSError:
            return False
        return True
