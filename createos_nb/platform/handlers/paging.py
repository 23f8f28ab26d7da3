"""Paging: one page of a list, as it travels."""

from __future__ import annotations

from collections.abc import Sequence

from createos_nb.api.listing import Page
from createos_nb.api.model import Model


def page(rows: Sequence[Model], total: int, limit: int, offset: int) -> Page:
    """Return a page of rows.

    Parameters
    ----------
    rows
        Those of this page.
    total
        How many there are in all.
    limit, offset
        What was asked for.
    """
    where = Page.Pagination(total=total, limit=limit, offset=offset, count=len(rows))
    return Page(data=list(rows), pagination=where)
