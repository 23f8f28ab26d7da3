"""Tables: what an archive keeps, each the rows of a kind of frame, and how they become files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from createos_nb import schema
from createos_nb.schema.columns import maybe_whole, time, whole
from createos_nb.schema.kind import COMPLETE, Column, Kind

_ARROW = {
    "str": pa.string(),
    "category": pa.string(),
    "datetime64[us, UTC]": pa.timestamp("us", "UTC"),
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
}
_PARTITIONS = ("project", "environment")

SECOND = maybe_whole("at_s", "s", "Its time in whole seconds since 1970: what to group and to filter by.")
"""Kept beside the time: to make a number of a time in UTC takes an engine longer than to count the rows."""


@dataclass(frozen=True)
class Table:
    """One table of an archive.

    Attributes
    ----------
    name
        Its name, and that of its folder.
    kind
        The kind of frame whose rows it holds.
    time
        The column that says when.
    extra
        Columns beside those of the kind.
    by_environment
        Whether its rows belong to an environment; otherwise to a project.
    """

    name: str
    kind: Kind
    time: str
    extra: tuple[Column, ...] = ()
    by_environment: bool = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, but for ``day``."""
        return (*self.kind.columns, *self.extra, SECOND, COMPLETE)

    @property
    def partitions(self) -> tuple[str, ...]:
        """The columns that stand in the files' paths instead of the files, but for ``day``."""
        return _PARTITIONS if self.by_environment else _PARTITIONS[:1]

    @property
    def arrow(self) -> pa.Schema:
        """What its files hold."""
        return pa.schema([(c.name, _ARROW[c.dtype]) for c in self.columns if c.name not in self.partitions])

    def encode(self, frame: pd.DataFrame) -> bytes:
        """Return a frame's rows as the content of a file; the same rows give the same bytes."""
        plain = {c.name: frame[c.name].astype(object) for c in self.kind.columns if c.dtype == "category"}
        held = frame.assign(**plain, **{SECOND.name: None})
        return self.written(pa.Table.from_pandas(held[self.arrow.names], schema=self.arrow, preserve_index=False))

    def decode(self, content: bytes) -> pa.Table:
        """Return the rows of a file."""
        return pq.read_table(BytesIO(content), schema=self.arrow)

    def join(self, contents: Sequence[bytes], ends: Sequence[pd.Timestamp]) -> bytes:
        """Return one file for several that follow each other.

        Parameters
        ----------
        contents
            The files, in the order of time.
        ends
            Where each ends; what a later one holds before that is there already.
        """
        taken: list[pa.Table] = []
        for content, since in zip(contents, [pd.Timestamp(0, tz="UTC"), *ends[:-1]], strict=True):
            rows = self.decode(content)
            begun = pc.greater_equal(rows[self.time], pa.scalar(since, _ARROW["datetime64[us, UTC]"]))
            taken.append(rows.filter(begun))
        return self.written(pa.concat_tables(taken))

    def written(self, rows: pa.Table) -> bytes:
        """Return rows of its columns as the content of a file; `SECOND` is filled in here."""
        seconds = pc.divide(rows[self.time].cast(pa.int64()), 1_000_000)
        buffer = BytesIO()
        whole = rows.set_column(rows.schema.get_field_index(SECOND.name), SECOND.name, seconds)
        pq.write_table(whole, buffer, compression="zstd")
        return buffer.getvalue()


TRAFFIC = Table("traffic", schema.REQUESTS_OVER_TIME, "timestamp")
LOGS = Table(
    "logs",
    schema.LOGS,
    "at",
    (
        time("at", "When the line was written: its own time, else that of a line beside it, else when it came."),
        whole("line", "", "Its place among the lines that were collected with it, from 1."),
    ),
)
DEPLOYMENTS = Table("deployments", schema.DEPLOYMENTS, "created_at", by_environment=False)
TOP_HIT_PATHS = Table("top_hit_paths", schema.TOP_HIT_PATHS, "start")
TOP_ERROR_PATHS = Table("top_error_paths", schema.TOP_ERROR_PATHS, "start")
REQUEST_DISTRIBUTION = Table("request_distribution", schema.REQUEST_DISTRIBUTION, "start")
SUMMARY = Table("summary", schema.SUMMARY, "start")

TABLES = {
    table.name: table
    for table in (TRAFFIC, LOGS, DEPLOYMENTS, TOP_HIT_PATHS, TOP_ERROR_PATHS, REQUEST_DISTRIBUTION, SUMMARY)
}
"""Every table by its name."""
