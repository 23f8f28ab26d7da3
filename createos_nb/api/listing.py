"""Listing: the rows of a list operation, and whether they are all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar, overload

from pydantic import AliasChoices, BaseModel, Field

from createos_nb.api.model import Model, Omissible
from createos_nb.api.secret import Secret
from createos_nb.markup import escape, one_line

Row = TypeVar("Row")

MAX_OFFSET = 999_999_999_999
"""How far down a list a page may begin."""

SHOWN = 10
"""Rows that a listing shows of itself."""

COLUMNS = 8
WHOLE = 2000
"""Characters of a log's line that are shown."""


class Listing(Sequence[Row], Generic[Row]):
    """The rows of a list operation: a sequence that knows whether it is complete.

    ``schema.frame(listing)`` makes a DataFrame of it.

    Attributes
    ----------
    complete
        False when there are more rows than these: `max_rows` was reached, or the pages did not fit
        together because the list changed while it was read.
    total
        How many rows the platform said there are; the number of rows when it said nothing.
    of
        What its rows are, also when there are none; None when that is not known.
    """

    of: type[Row] | None = None  # of one that a former version pickled

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        complete: bool = True,
        total: int | None = None,
        of: type[Row] | None = None,
    ) -> None:
        self._rows = tuple(rows)
        self.of = of if of is not None or not self._rows else type(self._rows[0])
        self.complete = complete
        self.total = len(self._rows) if total is None else total

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Listing[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Listing[Row]:
        if not isinstance(index, slice):
            return self._rows[index]
        rows = self._rows[index]
        return Listing(rows, complete=self.complete and len(rows) == len(self), total=self.total, of=self.of)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Listing):
            return NotImplemented
        return (self._rows, self.complete, self.total) == (other._rows, other.complete, other.total)

    __hash__ = None  # type: ignore[assignment] # its rows may hold what has none

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __repr__(self) -> str:
        names, cells = self._table()
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (names, *cells)] if names else []
        return "\n".join([self._caption(), *lines])

    def _repr_html_(self) -> str:
        names, cells = self._table()
        # Jupyter puts cells to the right, where no log can be read.
        style = " style='text-align:left;white-space:pre-wrap'" if self._log() else ""
        head = "".join(f"<th{style}>{escape(name)}</th>" for name in names)
        body = "".join(f"<tr>{''.join(f'<td{style}>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        caption = f"<caption>{escape(self._caption())}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _caption(self) -> str:
        shown = f", the {'last' if self._log() else 'first'} {SHOWN} shown" if len(self) > SHOWN else ""
        partial = "" if self.complete else f" of {self.total}, incomplete"
        return f"Listing of {len(self)}{partial}{shown}"

    def _table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return the first rows' fields that fit a cell, as one line each; what is secret is masked already."""
        if log := self._log():
            # What matters of a log is how it ended, in full.
            return log, [tuple(_cell(getattr(row, name), WHOLE) for name in log) for row in self._rows[-SHOWN:]]
        rows = [dict(row) if isinstance(row, BaseModel) else {"value": row} for row in self._rows[:SHOWN]]
        names = dict.fromkeys(name for row in rows for name, value in row.items() if _fits(value))
        shown = tuple(name for name in names if any(row.get(name) is not None for row in rows))[:COLUMNS]
        return shown, [tuple(_cell(row.get(name)) for name in shown) for row in rows]

    def _log(self) -> tuple[str, ...]:
        """Return the columns of lines of a log, when these are some."""
        return self._rows[0].log_columns if self._rows and isinstance(self._rows[0], Model) else ()


def _fits(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | datetime | Secret)


def _cell(value: object, limit: int = 40) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else one_line(str(value), limit=limit)


class Page(Model):
    """One page of a paged list, as it travels."""

    class Pagination(Model):
        """Where the page lies in the whole list."""

        total: Omissible[int] = None
        limit: Omissible[int] = None
        offset: Omissible[int] = None
        count: Omissible[int] = None

    # Lists of templates name their rows after themselves.
    data: list[object] = Field(
        validation_alias=AliasChoices("data", "templates", "purchases", "rejections"),
        repr=False,  # Secrets stand among them in clear.
    )
    pagination: Pagination = Pagination()
