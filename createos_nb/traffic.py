"""Traffic: real requests to an application, at a steady rate, counted by what came back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from types import TracebackType
from typing import Self

import httpx

from createos_nb.endpoints import reach


class Traffic:
    """Sends requests to an application from threads of its own, from ``start`` to ``stop``.

    Parameters
    ----------
    url
        The application's address.
    paths
        What to ask for, in turn.
    per_second
        Requests a second.

    Attributes
    ----------
    statuses
        Answers by status; 0 counts requests that got none.
    """

    def __init__(self, url: str, paths: Sequence[str], *, per_second: float) -> None:
        address, headers = reach(url)
        self.statuses: Counter[int] = Counter()
        self._paths = cycle(paths)
        self._pause_s = 1 / per_second
        self._http = httpx.Client(base_url=address, headers=headers, timeout=10.0, trust_env=False)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send, name="createos-nb-traffic", daemon=True)

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.statuses.total()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, and wait for the last answer."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._http.close()

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            # Behind schedule after a slow answer, it goes on from now: no burst to catch up.
            due = max(due + self._pause_s, time.monotonic() - self._pause_s)
            try:
                status = self._http.get(next(self._paths)).status_code
            except httpx.HTTPError:
                status = 0
            self.statuses[status] += 1
