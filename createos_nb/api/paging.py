"""Paging: follows a list over its pages to its end, also while it changes. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from createos_nb.api.exchange import answered
from createos_nb.api.listing import Listing
from createos_nb.api.message import Exchange, Request, Response

T = TypeVar("T")

MOST_PAGES = 1000
"""Requests that one list may cost: the hour's budget of a key."""

MOST_REWINDS = 20
"""Times that a list is read again from further back before it is taken for one that cannot be read whole."""


@dataclass(frozen=True)
class Found(Generic[T]):
    """What a page has: its rows, what makes each of them the same row, and how many there are in all."""

    keys: Sequence[object]
    rows: Sequence[T]
    total: int | None
    of: type[T] | None = None


def pages(
    page: Callable[[int, int], Request],
    read: Callable[[Request, Response], Found[T]],
    *,
    page_size: int,
    max_rows: int | None,
) -> Exchange[Listing[T]]:
    """Follow a paged list to its end, or to ``max_rows``.

    A list that changes while it is read shifts under its offsets. Each page therefore overlaps the one
    before by a few rows: when the first row of a page was not seen before, rows went missing in between, and
    it is read again from ever further back. A listing that cannot be made whole says ``complete=False``.

    Parameters
    ----------
    page
        Makes the request of one page from its limit and offset.
    read
        Reads one page.
    page_size
        Rows a request, 1 to the platform's maximum; of 1, two are asked for.
    max_rows
        Rows at most; None for all.
    """
    page_size = max(page_size, 2)  # a page of one row cannot overlap the one before
    seen: dict[object, T] = {}
    total: int | None = None
    of: type[T] | None = None
    offset, overlap, furthest = 0, min(2, page_size - 1), 0
    back, rewinds = page_size, 0
    for _ in range(MOST_PAGES):
        request = page(page_size, offset)
        found = read(request, (yield from answered(request)))
        keys, rows, total, of = found.keys, found.rows, found.total, found.of
        if offset > 0 and not (keys and keys[0] in seen):
            rewinds += 1
            if rewinds > MOST_REWINDS:
                break
            furthest = max(furthest, offset)
            overlap = max(overlap, min(overlap * 2, page_size // 2))
            offset, back = max(0, offset - back), back * 2
            continue
        back = page_size
        fresh = {key: row for key, row in zip(keys, rows, strict=True) if key not in seen}
        seen.update(fresh)
        if max_rows is not None and len(seen) >= max_rows:
            whole = len(seen) == max_rows and total is not None and total <= max_rows
            return Listing(list(seen.values())[:max_rows], complete=whole, total=total, of=of)
        if total is None:
            ended = not fresh and offset >= furthest
        else:
            ended = len(rows) < page_size and offset + len(rows) >= total
        if ended or (not fresh and offset >= furthest):
            # A server that ignores `offset` sends known rows for ever; it ends here, and is said to be short.
            complete = ended and len(rows) < page_size and (total is None or len(seen) >= total)
            return Listing(list(seen.values()), complete=complete, total=total, of=of)
        offset += max(0, len(rows) - overlap)
    return Listing(list(seen.values()), complete=False, total=total, of=of)
