"""Buffer: the last rows that were found, for all who read them, each at its own place."""

from __future__ import annotations

import threading
from collections import deque

import pandas as pd

from createos_nb.schema import FOLLOWED


class Buffer:
    """Frames of kind `FOLLOWED`, in the order they were found; the oldest are dropped. Safe for threads.

    Parameters
    ----------
    keep
        Rows to keep at least; a frame that is only partly among them is kept whole.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._frames: deque[tuple[int, pd.DataFrame]] = deque()
        self._changed = threading.Condition()
        self.begin = self.end = 0
        self.closed = False

    def add(self, frame: pd.DataFrame) -> None:
        """Add rows, and wake those who wait for them."""
        with self._changed:
            self._frames.append((self.end, frame))
            self.end += len(frame)
            while self.end - self.begin - len(self._frames[0][1]) >= self._keep:
                self.begin += len(self._frames.popleft()[1])
            self._changed.notify_all()

    def close(self) -> None:
        """Let those who wait know that no row will follow."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def frame(self) -> pd.DataFrame:
        """Return all rows that are kept."""
        with self._changed:
            frames = [frame for _, frame in self._frames]
        return FOLLOWED.concat(frames)

    def wait(self, place: int, timeout_s: float) -> tuple[int, list[pd.DataFrame]]:
        """Wait for rows from a place on; return how many before them were dropped, and their frames."""
        with self._changed:
            if self.end <= place and not self.closed:
                self._changed.wait(timeout_s)
            dropped = max(0, self.begin - place)
            place += dropped
            return dropped, [
                frame.iloc[max(0, place - at) :] for at, frame in self._frames if at + len(frame) > place
            ]
