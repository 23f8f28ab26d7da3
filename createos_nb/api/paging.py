"""Paging: follows a list over its pages to its end, also while it changes. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from createos_nb.api.exchange import parsed, send
from createos_nb.api.listing import Listing, Page
from createos_nb.api.message import Exchange, Request

T = TypeVar("T")

MOST_PAGES = 1000
"""Requests that one list may cost: the hour's budget of a key."""

MOST_REWINDS = 20
"""Times that a list is read again from further back before it is taken for one that cannot be read whole."""


def _read(parse: Callable[[Any], Iterable[T]], data: Any) -> tuple[int | None, list[T]]:
    """Read a page; what it holds in clear stands only in frames that `parsed` drops."""
    body = Page.model_validate(data)
    return body.pagination.total, list(parse(body.data))


Key = Callable[[Any], object]


def pages(
    page: Callable[[int, int], Request],
    parse: Callable[[Any], Iterable[T]],
    *,
    page_size: int,
    max_rows: int | None,
    key: Key,
) -> Exchange[Listing[T]]:
    """Follow a paged list to its end, or to ``max_rows``.

    A list that changes while it is read shifts under its offsets. Each page therefore overlaps the one
    before by a few rows: when the first row of a page was not seen before, rows went missing in between, and
    it is read again from ever further back. A listing that cannot be made whole says ``complete=False``.

    Parameters
    ----------
    page
        Makes the request of one page from its limit and offset.
    parse
        Reads the rows of one page.
    page_size
        Rows a request, 1 to the platform's maximum.
    max_rows
        Rows at most; None for all.
    key
        What makes a row the same row, such as its id.
    """
    page_size = max(page_size, 2)  # a page of one row cannot overlap the one before
    seen: dict[object, T] = {}
    total: int | None = None
    offset, overlap, furthest = 0, min(2, page_size - 1), 0
    back, rewinds = page_size, 0
    for _ in range(MOST_PAGES):
        total, rows = parsed(request := page(page_size, offset), partial(_read, parse), (yield from send(request)))
        if offset > 0 and not (rows and key(rows[0]) in seen):
            rewinds += 1
            if rewinds > MOST_REWINDS:
                break
            furthest = max(furthest, offset)
            overlap = max(overlap, min(overlap * 2, page_size // 2))
            offset, back = max(0, offset - back), back * 2
            continue
        back = page_size
        fresh = {key(row): row for row in rows if key(row) not in seen}
        seen.update(fresh)
        if max_rows is not None and len(seen) >= max_rows:
            whole = len(seen) == max_rows and total is not None and total <= max_rows
            return Listing(list(seen.values())[:max_rows], complete=whole, total=total)
        if total is None:
            ended = not fresh and offset >= furthest
        else:
            ended = len(rows) < page_size and offset + len(rows) >= total
        if ended or (not fresh and offset >= furthest):
            # A server that ignores `offset` sends known rows for ever; it ends here, and is said to be short.
            complete = ended and len(rows) < page_size and (total is None or len(seen) >= total)
            return Listing(list(seen.values()), complete=complete, total=total)
        offset += max(0, len(rows) - overlap)
    return Listing(list(seen.values()), complete=False, total=total)
