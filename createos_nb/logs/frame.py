"""Frame: columns of many pieces of a log made into one frame, without a copy where nothing has to move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import values
from createos_nb.logs.fields import Columns
from createos_nb.markup import visible
from createos_nb.schema import LEVELS, LOG_FORMATS, LOGS

STR = pd.StringDtype("pyarrow", na_value=np.nan)
_NULLS = 65_536


class Lines(pd.arrays.ArrowStringArray):
    """Text as it came, of the dtype ``str``, that pandas shows with its control characters spelled out.

    The values are whole. What pandas shows of a frame or of the column, as text or HTML, moves no cursor,
    hides nothing and, of a line of megabytes, formats only what is shown.
    """

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str | None]:  # noqa: FBT001 - as pandas has it
        plain = super()._formatter(boxed)  # type: ignore[misc] # the stubs lack what ExtensionArray documents
        width = pd.get_option("display.max_colwidth")
        return partial(_safe, plain, None if width is None else 2 * width)


def _safe(plain: Callable[[Any], str | None], width: int | None, value: object) -> str | None:
    return plain(visible(value[:width])) if isinstance(value, str) else plain(value)


def frame(parts: Sequence[Columns], *, project: str, environment: str | None) -> pd.DataFrame:
    """Return the frame of kind `schema.LOGS` that has these columns, part below part."""
    counts = [len(part["raw"]) for part in parts]
    total = sum(counts)

    def text(name: str, kind: type[Any] = pd.arrays.ArrowStringArray) -> pd.Series:
        pieces = [
            piece
            for part, count in zip(parts, counts, strict=True)
            for piece in ([part[name]] if name in part else _absent(count))
        ]
        return _text(pieces, kind)

    def plain(name: str, kind: pa.DataType) -> pa.ChunkedArray:
        return pa.chunked_array(
            [part.get(name, values.nulls(count, kind)) for part, count in zip(parts, counts, strict=True)], kind
        )

    status = plain("status", pa.int64())
    made = {
        "project": _constant(project, total),
        "environment": _constant(environment, total),
        "timestamp": pd.Series(_moments(plain("timestamp", values.TIME))),
        "level": _levels(plain("level", values.TEXT)),
        **{name: text(name) for name in ("message", "stream", "logger")},
        "status": pd.Series(
            pd.arrays.IntegerArray(pc.fill_null(status, 0).to_numpy(), pc.is_null(status).to_numpy(), copy=False)
        ),
        **{name: text(name) for name in ("method", "path")},
        "duration_ms": pd.Series(plain("duration_ms", pa.float64()).to_numpy(), dtype="float64"),
        **{name: text(name) for name in ("request_id", "trace")},
        "format": pd.Series(_category(plain("format", pa.int8()).to_numpy(), LOG_FORMATS)),
        "raw": text("raw", Lines),
        "complete": pd.Series(np.ones(total, bool)),
    }
    return LOGS.check(pd.DataFrame({name: made[name] for name in LOGS.names}, copy=False))


def _category(codes: Any, categories: Sequence[str]) -> Any:
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype([*categories], ordered=True))


def _text(pieces: Sequence[pa.Array], kind: Any = pd.arrays.ArrowStringArray) -> pd.Series:
    return pd.Series(kind(pa.chunked_array(pieces, values.TEXT), dtype=STR))


_NOTHING = values.nulls(_NULLS)


def _absent(count: int) -> list[pa.Array]:
    """Return a column of missing values, in pieces that share their memory."""
    return [_NOTHING] * (count // _NULLS) + [_NOTHING.slice(0, count % _NULLS)]


def _repeated(value: str | None, count: int) -> list[pa.Array]:
    """Return a column of one value, in pieces that share their memory."""
    piece = pa.array([value], values.TEXT).take(pa.array(np.zeros(min(count, _NULLS), np.int64)))
    return [piece] * (count // _NULLS) + [piece.slice(0, count % _NULLS)] if count else []


def _constant(value: str | None, count: int) -> pd.Series:
    return _text(_repeated(value, count))


def _moments(times: pa.ChunkedArray) -> pd.DatetimeIndex:
    held = times.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    return pd.DatetimeIndex(held).tz_localize("UTC")


def _levels(levels: pa.ChunkedArray) -> pd.Series:
    coded = levels.dictionary_encode().unify_dictionaries()
    written = coded.chunk(0).dictionary.to_pylist() if coded.num_chunks else []
    strange = sorted(set(written) - set(LEVELS))
    categories = [*LEVELS, *strange]
    number = np.array([*(categories.index(name) for name in written), -1], np.int64)
    codes = [pc.fill_null(piece.indices, len(written)).to_numpy() for piece in coded.chunks]
    whole = np.concatenate(codes) if codes else np.zeros(0, np.int64)
    return pd.Series(_category(number[whole], categories))
