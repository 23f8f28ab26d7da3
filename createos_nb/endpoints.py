"""Endpoints: how this package reaches an application's address.

An embedded platform serves applications at ``http://<environment>.<project>.localhost:<port>``. Browsers
and curl resolve every name under ``.localhost`` to this machine; Python's resolver does not.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def reach(url: str) -> tuple[str, dict[str, str]]:
    """Return the address to connect to and the headers that name the application.

    Parameters
    ----------
    url
        An application's address as the platform gives it.

    Returns
    -------
    tuple of str and dict
        For a name under ``.localhost`` the same address at 127.0.0.1 with a ``Host`` header; any other
        address unchanged, with no header.

    Examples
    --------
    >>> reach("http://production.shop.localhost:8080/cart?a=1")
    ('http://127.0.0.1:8080/cart?a=1', {'Host': 'production.shop.localhost:8080'})
    >>> reach("https://shop.example.com/")
    ('https://shop.example.com/', {})
    """
    parts = urlsplit(url)
    if not (parts.hostname or "").endswith(".localhost"):
        return url, {}
    local = "127.0.0.1" if parts.port is None else f"127.0.0.1:{parts.port}"
    return urlunsplit(parts._replace(netloc=local)), {"Host": parts.netloc.rpartition("@")[2]}
