"""Retries: how many further attempts the clients of a key may make."""

from __future__ import annotations

import threading
from functools import cache

from createos_nb.api.message import Response

_MOST = 2.0


class Retries:
    """How many further attempts there may be: a dead server must not get three times the requests.

    Every answer that is not a failure of the server earns a fifth of one. Two are there at first, and no more can
    be saved up: so many requests, beside one a call, a server that never answers gets at most.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = _MOST

    @staticmethod
    @cache
    def of(account: str) -> Retries:  # noqa: ARG004 - it is the cache's key
        """Return those of a key, which all its clients in this process share: a new client earns nothing anew.

        Parameters
        ----------
        account
            As of `createos_nb.settings.Settings`.
        """
        return Retries()

    def earn(self, response: Response) -> None:
        """Count an answer."""
        if response.status < 500 and response.status != 429:
            with self._lock:
                self._left = min(_MOST, self._left + 0.2)

    def take(self) -> bool:
        """Take one, if one is there."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True
