"""Listening: whose sockets listen on a port, as the kernel tells."""

from __future__ import annotations

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTEN = "0A"


def listening(port: int) -> frozenset[int] | None:
    """Return the inodes of the sockets that listen on a port, on any address; None where the kernel hides them.

    A socket's inode is its identity: another program on the same port has another.
    """
    found = set()
    for path in _TABLES:
        try:
            with open(path) as table:
                next(table)
                for line in table:
                    _, local, _, state, *rest = line.split()
                    if state != _LISTEN:
                        break  # Those that listen come first.
                    if int(local.rpartition(":")[2], 16) == port:
                        found.add(int(rest[5]))
        except FileNotFoundError:
            if path is _TABLES[0]:
                return None
    return frozenset(found)
