"""Listing: the rows of a list operation, and whether they are all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

from pydantic import AliasChoices, Field

from createos_nb.api.model import Model

Row = TypeVar("Row")


class Listing(Sequence[Row], Generic[Row]):
    """The rows of a list operation: a sequence that knows whether it is complete.

    Attributes
    ----------
    complete
        False when there are more rows than these: `max_rows` was reached, or the pages did not fit
        together because the list changed while it was read.
    total
        How many rows the platform said there are; the number of rows when it said nothing.
    """

    def __init__(self, rows: Sequence[Row], *, complete: bool = True, total: int | None = None) -> None:
        self._rows = tuple(rows)
        self.complete = complete
        self.total = len(self._rows) if total is None else total

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __repr__(self) -> str:
        partial = "" if self.complete else f" of {self.total}, incomplete"
        lines = [f"Listing of {len(self)}{partial}", *(f"  {row!r}" for row in self._rows[:10])]
        return "\n".join(lines if len(self) <= 10 else [*lines, f"  … {len(self) - 10} more"])


class Page(Model):
    """One page of a paged list, as it travels."""

    class Pagination(Model):
        """Where the page lies in the whole list."""

        total: int | None = None
        limit: int | None = None
        offset: int | None = None
        count: int | None = None

    # Lists of templates name their rows after themselves.
    data: list[object] = Field(validation_alias=AliasChoices("data", "templates", "purchases", "rejections"))
    pagination: Pagination = Pagination()
