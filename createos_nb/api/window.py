"""Window: the places of a budget that are booked in a stretch of time, counted by the second."""

from __future__ import annotations

import sqlite3
from itertools import accumulate


def booked(database: sqlite3.Connection, kind: str, after: int, until: int) -> int:
    """Return how many places of a kind are booked from the second after ``after`` to ``until``."""
    query = "SELECT coalesce(sum(n), 0) FROM spent WHERE kind = ? AND second > ? AND second <= ?"
    return int(database.execute(query, [kind, after, until]).fetchone()[0])


def first_free(
    database: sqlite3.Connection, kind: str, length: int, allowed: int, start: int, *, longest_wait_s: int
) -> int:
    """Return the first second from ``start`` that lies in no window which is full already.

    A window of ``length`` seconds that ends at a second holds it and those before. A place at t lies in the
    windows that end at t, t + 1, … t + length - 1; all of them must have room.
    """
    first, last = start - length, start + longest_wait_s
    if booked(database, kind, first, last) < allowed:
        return start
    counts = [0] * (last - first + 1)
    query = "SELECT second, n FROM spent WHERE kind = ? AND second > ? AND second <= ?"
    for second, n in database.execute(query, [kind, first, last]):
        counts[second - first] = n
    sums = [0, *accumulate(counts)]
    free_from = start
    for end in range(length, len(counts)):
        if first + end >= free_from + length:
            break
        if sums[end + 1] - sums[end + 1 - length] >= allowed:
            free_from = first + end + 1
    return free_from
