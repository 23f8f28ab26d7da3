"""Movers: the paths that are asked for, or fail, more or less than before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from createos_nb.errors import FrameError
from createos_nb.metrics.intervals import TARGET, with_complete
from createos_nb.schema import MOVERS, TOP_ERROR_PATHS, TOP_HIT_PATHS, Row

LISTED = 10
"""Paths in each of the platform's lists, at most."""

NEEDED: Mapping[str, tuple[str, ...]] = {"movers": (*TARGET, "rank", "path", "requests")}
"""Columns of `schema.TOP_HIT_PATHS`; ``status`` is heeded where it is there."""

_Key = tuple[str, str | None]


@dataclass(frozen=True)
class _List:
    """One of the platform's lists: counts by path and status, and what one that it leaves out can have at most."""

    counts: Mapping[_Key, int]
    others_at_most: int | None

    def bounds(self, key: _Key) -> tuple[int, int | None]:
        known = self.counts.get(key)
        return (0, self.others_at_most) if known is None else (known, known)


def movers(after: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return which paths moved most between two windows of equal length.

    Parameters
    ----------
    after, before
        Top paths of the later and of the earlier window: both `schema.TOP_HIT_PATHS`, or both
        `schema.TOP_ERROR_PATHS`. The windows must be equally long, since counts are compared, and of the
        same environments; the lists must be as the platform gave them.

    Returns
    -------
    DataFrame, one row per path (and status), those that certainly moved most first (`schema.MOVERS`)
        ``change`` (requests) and ``relative_change`` (share) are missing where a list does not hold the
        path; ``change_at_least`` and ``change_at_most`` then say what is known.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind, only one of the frames has ``status``, a list has been
        shortened or is there twice, which its ``rank`` shows, or the windows are not equally long, which
        ``start`` and ``end`` show where they are there.

    Notes
    -----
    The platform lists ten. A path that is not in a list of ten was asked for at most as often as the last
    one listed, not never; in a shorter list it would stand if it had been asked for at all, so there it is 0.
    An environment that is in one frame only had no such requests in the other window, unless that frame's
    ``complete`` says that answers are missing: then nothing is known of it.

    Examples
    --------
    >>> from createos_nb import schema
    >>> after = schema.sample("TOP_ERROR_PATHS")
    >>> before = after[after["status"] == "404"].assign(rank=[1, 2], requests=[14, 6])
    >>> movers(after, before)[["path", "listed", "requests_before", "requests_after", "change"]]
               path listed  requests_before  requests_after  change
    0     /checkout  after                0              83      83
    1  /favicon.ico   both               14              15       1
    2  /products/99   both                6               6       0
    """
    has_status = ["status" in list(frame.columns) for frame in (after, before) if isinstance(frame, pd.DataFrame)]
    if len(set(has_status)) > 1:
        raise FrameError(
            "Only one of the frames has the column 'status'. Compare two frames of top_hit_paths(), or two of "
            "top_error_paths()."
        )
    _refuse_unequal(after, before)
    lists_after, lists_before = (_lists(frame, has_status=all(has_status)) for frame in (after, before))
    targets = dict.fromkeys([*lists_after.found, *lists_before.found])
    rows = [row for target in targets for row in _rows(target, lists_after.of(target), lists_before.of(target))]
    complete = lists_after.complete and lists_before.complete
    return MOVERS.frame((row for _, row in sorted(rows, key=lambda each: each[0])), complete=complete)


def _refuse_unequal(*frames: pd.DataFrame) -> None:
    """Refuse windows of which it can be seen that they are not equally long."""
    lengths: list[pd.Timedelta] = []
    for frame in frames:
        if isinstance(frame, pd.DataFrame) and {"start", "end"} <= set(frame.columns):
            taken = TOP_HIT_PATHS.take(frame, ["start", "end"], may_miss=["start", "end"])
            lengths.extend((taken["end"] - taken["start"]).dropna().unique())
    if len(set(lengths)) > 1:
        shortest, longest = min(lengths), max(lengths)
        raise FrameError(
            "The windows are not equally long, and counts are compared: by 'start' and 'end' one has "
            f"{shortest.total_seconds():,.0f} s, another {longest.total_seconds():,.0f} s. Ask for one length."
        )


@dataclass(frozen=True)
class _Lists:
    """The lists of a frame by project and environment."""

    found: Mapping[tuple[str, str], _List]
    complete: bool

    def of(self, target: tuple[str, str]) -> _List:
        return self.found.get(target) or _List({}, 0 if self.complete else None)


def _lists(frame: pd.DataFrame, *, has_status: bool) -> _Lists:
    kind = TOP_ERROR_PATHS if has_status else TOP_HIT_PATHS
    names = [*NEEDED["movers"], *(["status"] if has_status else [])]
    taken = kind.take(frame, with_complete(frame, names))
    if (taken["requests"] < 0).any():
        raise FrameError("The column 'requests' holds a negative count. Look at that row.")
    found = {}
    for (project, environment), rows in taken.groupby(list(TARGET), sort=False):
        if sorted(rows["rank"]) != list(range(1, len(rows) + 1)):
            raise FrameError(
                f"The ranks of {project}/{environment} in 'rank' are not 1, 2, 3 and so on, so its list is not as "
                "the platform gave it. Compare first, then leave rows out."
            )
        statuses = rows["status"] if has_status else [None] * len(rows)
        counts = dict(
            zip(
                zip(rows["path"], statuses, strict=True),
                (int(requests) for requests in rows["requests"]),
                strict=True,
            )
        )
        if len(counts) < len(rows):
            raise FrameError(f"The list of {project}/{environment} holds a 'path' twice. Pass one list of it.")
        found[str(project), str(environment)] = _List(counts, min(counts.values()) if len(rows) >= LISTED else 0)
    return _Lists(found, bool(taken["complete"].all()) if "complete" in taken else True)


def _rows(target: tuple[str, str], after: _List, before: _List) -> Iterator[tuple[tuple[object, ...], Row]]:
    """Return the rows of an environment, each with what it is sorted by."""
    for key in dict.fromkeys([*after.counts, *before.counts]):
        (after_low, after_high), (before_low, before_high) = after.bounds(key), before.bounds(key)
        at_least = None if before_high is None else after_low - before_high
        at_most = None if after_high is None else after_high - before_low
        known_after = after_low if after_low == after_high else None
        known_before = before_low if before_low == before_high else None
        change = None if known_after is None or known_before is None else known_after - known_before
        path, status = key
        certain = max(at_least or 0, -(at_most or 0), 0)
        widest = max(abs(bound) for bound in (at_least or 0, at_most or 0))
        yield (
            (-certain, -widest, *target, path, status or ""),
            {
                "project": target[0],
                "environment": target[1],
                "path": path,
                "status": status,
                "listed": ("both" if key in before.counts else "after") if key in after.counts else "before",
                "requests_before": known_before,
                "requests_after": known_after,
                "change": change,
                "change_at_least": at_least,
                "change_at_most": at_most,
                "relative_change": None if change is None or not known_before else change / known_before,
            },
        )
