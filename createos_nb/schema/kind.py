"""Kind: the contract of one sort of frame; its columns, their dtypes, units and meanings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from createos_nb.api.garbage import held as collector_held
from createos_nb.errors import FrameError

Dtype = Literal["str", "datetime64[us, UTC]", "int64", "Int64", "float64", "bool", "category"]


@dataclass(frozen=True)
class Column:
    """One column of a frame.

    Attributes
    ----------
    name
        Its heading.
    dtype
        Its pandas dtype, the same in an empty frame; ``"category"`` is always ordered.
    unit
        What one of it is, empty when it has none; shares go from 0 to 1.
    meaning
        One line that a person reads.
    values
        Of a category: the documented values in their order. Others follow them, and are kept.
    """

    name: str
    dtype: Dtype
    unit: str
    meaning: str
    values: tuple[str, ...] = ()


_ROW_BYTES = 200
"""About what a row's objects take, for the collector that looks at all of them while more are made."""

COMPLETE = Column("complete", "bool", "", "Nothing is missing from the answer this row is part of.")


@dataclass(frozen=True)
class Kind:
    """One sort of frame: what its columns are, and the one way to make it.

    Every frame ends in the column ``complete``: False when the platform did not give all of the answer.

    Attributes
    ----------
    name
        Its name in `createos_nb.schema`.
    columns
        Its columns, without ``complete``.
    """

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Headings in order, ``complete`` last."""
        return [column.name for column in (*self.columns, COMPLETE)]

    def describe(self) -> pd.DataFrame:
        """Return the contract as a frame: column, dtype, unit, meaning."""
        rows = [(c.name, c.dtype, c.unit, c.meaning) for c in (*self.columns, COMPLETE)]
        return pd.DataFrame(rows, columns=["column", "dtype", "unit", "meaning"], dtype="str")

    def empty(self) -> pd.DataFrame:
        """Return the frame without rows, its columns and dtypes as ever."""
        return self.frame([])

    def frame(self, rows: Iterable[Mapping[str, object]], *, complete: bool = True) -> pd.DataFrame:
        """Make the frame from rows.

        Parameters
        ----------
        rows
            One mapping a row, by column name; a name that is left out is a missing value. A row may hold
            ``complete`` itself.
        complete
            The value of ``complete`` for rows that do not say.

        Returns
        -------
        DataFrame with this kind's columns, then ``complete``

        Raises
        ------
        FrameError
            A row has a name this kind does not know, or a value its column cannot hold.
        """
        held = list(rows)
        with collector_held(len(held) * _ROW_BYTES):
            return self._framed(held, complete=complete)

    def _framed(self, held: Sequence[Mapping[str, object]], *, complete: bool) -> pd.DataFrame:
        known = set(self.names)
        for row in held:
            if not row.keys() <= known:
                raise FrameError(
                    f"{self.name} has no column {min(row.keys() - known)!r}. It has: {self._listed()}."
                )
        values: dict[str, Sequence[object]] = {
            column.name: [row.get(column.name) for row in held] for column in self.columns
        }
        return self.from_columns(values, complete=[row.get("complete", complete) for row in held])

    def from_columns(
        self, values: Mapping[str, pd.Series | Sequence[object]], *, complete: bool | Sequence[object] = True
    ) -> pd.DataFrame:
        """Make the frame from whole columns of equal length: the quick way for many rows.

        Parameters
        ----------
        values
            One sequence a column, by name; None is a missing value.
        complete
            The value of ``complete``, for all rows or for each.

        Raises
        ------
        FrameError
            A column is left out, or holds a value that does not fit its dtype.
        """
        missing = [column.name for column in self.columns if column.name not in values]
        if missing:
            raise FrameError(f"{self.name} needs the column {missing[0]!r}. It has: {self._listed()}.")
        built = {column.name: _series(self.name, column, values[column.name]) for column in self.columns}
        length = len(next(iter(built.values())))
        flags = pd.Series(np.full(length, complete)) if isinstance(complete, bool) else complete
        built[COMPLETE.name] = _series(self.name, COMPLETE, flags)
        return pd.DataFrame(built)

    def concat(self, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
        """Put frames of this kind below each other, statuses that only some of them know included.

        Raises
        ------
        FrameError
            One of them is not of this kind.
        """
        held = [self.check(frame) for frame in frames]
        if not held:
            return self.empty()
        if len(held) == 1:
            return held[0].reset_index(drop=True)
        # Categoricals with different values would become text, so these go through their plain values.
        return pd.DataFrame(
            {
                column.name: _series(
                    self.name, column, [value for frame in held for value in frame[column.name].astype(object)]
                )
                if column.dtype == "category" and len({frame[column.name].dtype for frame in held}) > 1
                else pd.concat([frame[column.name] for frame in held], ignore_index=True)
                for column in (*self.columns, COMPLETE)
            }
        )

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame if it is exactly of this kind.

        Raises
        ------
        FrameError
            A column is missing, too many, out of order or of another dtype; the message names it.
        """
        headings = list(frame.columns)
        if headings != self.names:
            strange = [name for name in headings if name not in self.names]
            missing = [name for name in self.names if name not in headings]
            what = (
                f"lacks the column {missing[0]!r}"
                if missing
                else f"does not know the column {strange[0]!r}"
                if strange
                else "has its columns in another order, or twice"
            )
            raise FrameError(f"The frame is not of kind {self.name}: it {what}. Columns: {self._listed()}.")
        for column in (*self.columns, COMPLETE):
            if not _fits(frame[column.name].dtype, column):
                raise FrameError(
                    f"The column {column.name!r} of {self.name} is {frame[column.name].dtype}, not {column.dtype}. "
                    f"Make it with schema.{self.name}.frame(...)."
                )
        return frame

    def take(self, frame: pd.DataFrame, names: Sequence[str], *, may_miss: Collection[str] = ()) -> pd.DataFrame:
        """Return only the named columns of any frame that has them, in this kind's dtypes.

        What metrics and charts start with, so that a frame a person has filtered, joined or read back from
        a file works as well as a fresh one, and a wrong one is refused with the column's name.

        Parameters
        ----------
        frame
            Any frame; other columns and the index are ignored.
        names
            Columns of this kind.
        may_miss
            Those of them in which a value may be missing.

        Raises
        ------
        FrameError
            A column is missing, there twice, or holds values that do not fit.
        """
        if not isinstance(frame, pd.DataFrame):
            raise FrameError(
                f"This needs a DataFrame with the columns {', '.join(names)}, not {type(frame).__name__}."
            )
        headings = list(frame.columns)
        columns = {column.name: column for column in (*self.columns, COMPLETE)}
        taken = {}
        for name in names:
            if headings.count(name) != 1:
                why = "has no column" if name not in headings else "has more than one column"
                raise FrameError(f"The frame {why} {name!r}, which this needs. See schema.{self.name}.describe().")
            values = frame[name].reset_index(drop=True)
            column = columns[name]
            taken[name] = values if _fits(values.dtype, column) else _series(self.name, column, values)
            if name not in may_miss and taken[name].hasnans:
                raise FrameError(f"Some rows have no {name!r}, which this needs. Leave them out with .dropna().")
        return pd.DataFrame(taken)

    def _listed(self) -> str:
        return ", ".join(self.names)

    def __repr__(self) -> str:
        return f"schema.{self.name}\n{self.describe().to_string(index=False)}"


def _fits(dtype: object, column: Column) -> bool:
    if column.dtype == "category":
        if not isinstance(dtype, pd.CategoricalDtype) or not dtype.ordered:
            return False
        return tuple(dtype.categories[: len(column.values)]) == column.values
    return str(dtype) == column.dtype


def _series(kind: str, column: Column, values: Sequence[object] | pd.Series) -> pd.Series:
    if isinstance(values, pd.Series) and str(values.dtype) == column.dtype != "category":
        return values.reset_index(drop=True)
    try:
        match column.dtype:
            case "str":
                return _text(values)
            case "category":
                return _category(values, column.values)
            case "datetime64[us, UTC]":
                return _times(values)
            case "bool" if any(not isinstance(value, bool | np.bool_) for value in values):
                raise ValueError("not true or false")
            case "int64" | "Int64" | "float64" if any(isinstance(value, list | tuple | dict) for value in values):
                raise ValueError("more than one number")
        # As a list: pandas cuts the fractions off a Series that becomes whole numbers, but refuses a list's.
        return pd.Series(list(values), dtype=column.dtype)
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FrameError(
            f"The column {column.name!r} of {kind} holds a value that is not {column.dtype}: {reason}."
        ) from None


def _text(values: Sequence[object] | pd.Series) -> pd.Series:
    try:
        return pd.Series(values, dtype="str").reset_index(drop=True)
    except UnicodeEncodeError:
        # JSON can spell half a surrogate pair, which no UTF-8 column can hold: it is shown as its escape.
        whole: list[Any] = [
            v.encode("utf-8", "backslashreplace").decode() if isinstance(v, str) else v for v in values
        ]
        return pd.Series(whole, dtype="str")


def _category(values: Sequence[object] | pd.Series, known: tuple[str, ...]) -> pd.Series:
    text = _text(values)
    unknown = sorted(set(text.dropna().unique()) - set(known))
    return text.astype(pd.CategoricalDtype([*known, *unknown], ordered=True))


def _times(values: Sequence[object] | pd.Series) -> pd.Series:
    held: pd.Series[Any] = values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)
    if isinstance(held.dtype, pd.DatetimeTZDtype):
        converted: pd.Series[Any] = held.dt.tz_convert("UTC").dt.as_unit("us").reset_index(drop=True)
        return converted
    for value in held.dropna():
        if isinstance(value, str):
            raise ValueError(f"{value!r:.40} is text, make times of it with pd.to_datetime(..., utc=True)")
        if getattr(value, "tzinfo", None) is None:
            raise ValueError(f"{value!s:.40} has no time zone, convert it with pd.to_datetime(..., utc=True)")
    return pd.Series(list(held), dtype="datetime64[us, UTC]")
