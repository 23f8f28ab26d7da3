"""Records: rows from an answer's bytes to columns, without a model of each on the way.

A frame of many rows needs a tenth of what an answer says, and no object for each of them: Arrow reads those
fields alone, so that variables are never in a frame's memory. Whatever is not exactly as usual is left to the
models, which tell what it is: `schema.PROJECTS` and its likes are the same frames either way.

    found = client.deployments.run(Deployments.list.parts(DEPLOYMENT_RECORDS.read, project_id))
    DEPLOYMENT_RECORDS.frame(found, project="shop", environments=environments)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.api.answer import Parts
from createos_nb.schema.kind import Kind

P = ParamSpec("P")

Table: TypeAlias = pa.Table
Values: TypeAlias = "Mapping[str, pd.Series[Any] | Sequence[object]]"

# What Arrow and the models read alike; years before 1970 and after 2262 do not fit nanoseconds.
_TIME = r"^(19[7-9]\d|20\d\d|21\d\d|22[0-5]\d)-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"
_TEXT = pd.StringDtype(na_value=np.nan)
_PANDAS: dict[pa.DataType, Any] = {pa.string(): _TEXT, pa.int64(): pd.Int64Dtype()}


@dataclass(frozen=True)
class Read:
    """The rows of one answer as a table; see `createos_nb.api.answer.Columns`."""

    table: Table
    keys: Sequence[object]
    total: int | None


class Records(Generic[P]):
    """One sort of rows, as they travel and as a frame.

    Parameters
    ----------
    kind
        The frame.
    fields
        What is read of a row, by its name on the wire: ``"text"``, ``"number"``, ``"flag"``, ``"time"``, or such a
        mapping again. A row without one whose name ends in ``!`` is none.
    columns
        Makes the frame's columns of a table.
    row
        Makes a row of the frame of a model, of the rows that were not as usual.
    """

    def __init__(
        self,
        kind: Kind,
        fields: Mapping[str, Any],
        columns: Callable[Concatenate[Table, P], Values],
        row: Callable[Concatenate[Any, P], Mapping[str, object]],
    ) -> None:
        self.kind = kind
        self._fields = fields
        self._columns = columns
        self._row = row

    def read(self, body: bytes, *, paged: bool) -> Read | None:
        """Read the rows of an answer; None for one that is not exactly as usual."""
        from pyarrow import json as reader

        if body[:64].lstrip()[:1] != b"{":
            return None  # A bare `null` ends the process: apache/arrow.
        try:
            said = reader.read_json(
                pa.BufferReader(body),
                read_options=reader.ReadOptions(use_threads=False, block_size=len(body) + 1),
                parse_options=self._paged if paged else self._whole,
            )
            if said.num_rows != 1 or not _succeeded(said):
                return None
            data = said.column("data").combine_chunks()
            total = None
            if paged:
                total = data.field("pagination").field("total")[0].as_py()
                data = data.field("data") if data.null_count == 0 else data
            return self._checked(data.flatten(), total) if data.null_count == 0 else None
        except (pa.ArrowException, UnicodeError, OverflowError):
            return None

    def _checked(self, rows: pa.StructArray, total: int | None) -> Read | None:
        rows.validate(full=True)
        if rows.null_count or any(rows.field(name).null_count for name in self._needed):
            return None
        columns = {}
        for name, kind in self._fields.items():
            name = name.rstrip("!")
            held = rows.field(name)
            if kind == "time":
                if not pc.all(pc.match_substring_regex(held, _TIME), min_count=0).as_py():
                    return None
                held = held.cast(pa.timestamp("ns", "UTC")).cast(pa.timestamp("us", "UTC"), safe=False)
            columns[name] = held
        keys = columns["id"].to_pylist()
        return Read(pa.table(columns), keys, total) if all(keys) else None

    def frame(self, found: Parts, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        """Make the frame of what `createos_nb.api.operation.Operation.parts` found.

        Parameters
        ----------
        found
            The rows.
        *args, **kwargs
            What else the columns are made of.
        """
        frames: list[pd.DataFrame] = []
        tables: list[Table] = []

        def finish() -> None:
            if tables:
                values = self._columns(pa.concat_tables(tables), *args, **kwargs)
                frames.append(self.kind.from_columns(values, complete=found.complete))
                tables.clear()

        for part in found.parts:
            if isinstance(part.rows, Read):
                whole = len(part.taken) == len(part.rows.table)
                tables.append(part.rows.table if whole else part.rows.table.take(part.taken))
                continue
            finish()
            assert isinstance(part.rows, Sequence)
            rows = [self._row(part.rows[index], *args, **kwargs) for index in part.taken]
            frames.append(self.kind.frame(rows, complete=found.complete))
        finish()
        return self.kind.concat(frames)

    @cached_property
    def _needed(self) -> list[str]:
        return [name.rstrip("!") for name in self._fields if name.endswith("!")]

    @cached_property
    def _whole(self) -> Any:
        return _options(pa.list_(_struct(self._fields)))

    @cached_property
    def _paged(self) -> Any:
        page = [("data", pa.list_(_struct(self._fields))), ("pagination", pa.struct([("total", pa.int64())]))]
        return _options(pa.struct(page))


_TYPES = {"text": pa.string(), "number": pa.int64(), "flag": pa.bool_(), "time": pa.string()}


def _struct(fields: Mapping[str, Any]) -> pa.StructType:
    return pa.struct(
        [
            (name.rstrip("!"), _struct(kind) if isinstance(kind, Mapping) else _TYPES[kind])
            for name, kind in fields.items()
        ]
    )


def _options(data: pa.DataType) -> Any:
    from pyarrow import json as reader

    envelope = pa.schema([("status", pa.string()), ("success", pa.bool_()), ("data", data)])
    return reader.ParseOptions(explicit_schema=envelope, unexpected_field_behavior="ignore")


def _succeeded(said: Table) -> bool:
    status, success = said.column("status")[0].as_py(), said.column("success")[0].as_py()
    return (status == "success" and success is not False) or (success is True and status not in {"fail", "error"})


def series(held: pa.ChunkedArray) -> pd.Series[Any]:
    """Return a table's column as pandas has it: text, whole numbers that may be missing, flags, times."""
    made: pd.Series[Any] = held.to_pandas(types_mapper=_PANDAS.get)
    return made
