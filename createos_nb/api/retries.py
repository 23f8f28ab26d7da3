"""Retries: how many further attempts a client may make."""

from __future__ import annotations

import threading

from createos_nb.api.message import Response


class Retries:
    """How many further attempts a client may make: a dead server must not get three times the requests.

    Every answer that is not a failure of the server earns a fifth of one. Two are there at first, and ten can be
    saved up: so many requests, beside one a call, a server that never answers gets at most.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = 2.0

    def earn(self, response: Response) -> None:
        """Count an answer."""
        if response.status < 500 and response.status != 429:
            with self._lock:
                self._left = min(10.0, self._left + 0.2)

    def take(self) -> bool:
        """Take one, if one is there."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True
