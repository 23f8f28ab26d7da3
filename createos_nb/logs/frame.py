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
_NO_TIME = int(np.iinfo(np.int64).min)  # as numpy writes NaT


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
    """Return the frame of kind `schema.LOGS` that has these columns, part below part; the parts are used up."""
    counts = [len(part["raw"]) for part in parts]
    total = sum(counts)

    def text(
        name: str,
        kind: type[Any] = pd.arrays.ArrowStringArray,
        clean: Callable[[pa.Array], pa.Array] = lambda column: column,
    ) -> pd.Series:
        pieces = [
            piece
            for part, count in zip(parts, counts, strict=True)
            for piece in ([clean(part[name])] if name in part else _absent(count))
        ]
        return _text(pieces, kind)

    def numbers(name: str, kind: pa.DataType, missing: float) -> np.ndarray:
        # Filled part by part into one array, each part given up: no second copy of a column at any time.
        whole = np.full(total, missing, kind.to_pandas_dtype())
        at = 0
        for part, count in zip(parts, counts, strict=True):
            if name in part:
                held = part.pop(name).cast(kind)
                whole[at : at + count] = pc.fill_null(held, missing).to_numpy(zero_copy_only=False)
            at += count
        return whole

    status = numbers("status", pa.int64(), 0)  # no status is 0
    made = {
        "project": _constant(project, total),
        "environment": _constant(environment, total),
        "timestamp": pd.Series(_moments(numbers("timestamp", pa.int64(), _NO_TIME))),
        "level": _levels(parts, counts),
        **{name: text(name) for name in ("message", "stream", "logger")},
        "status": pd.Series(pd.arrays.IntegerArray(status, status == 0, copy=False)),
        "method": text("method"),
        "path": text("path", clean=_without_query),
        "duration_ms": pd.Series(numbers("duration_ms", pa.float64(), np.nan)),
        **{name: text(name) for name in ("request_id", "trace")},
        "format": pd.Series(_category(numbers("format", pa.int8(), 0), LOG_FORMATS)),
        "raw": text("raw", Lines),
        "complete": pd.Series(np.ones(total, bool)),
    }
    return LOGS.check(pd.DataFrame({name: made[name] for name in LOGS.names}, copy=False))


def _category(codes: Any, categories: Sequence[str]) -> Any:
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype([*categories], ordered=True))


def _text(pieces: Sequence[pa.Array], kind: Any = pd.arrays.ArrowStringArray) -> pd.Series:
    return pd.Series(kind(pa.chunked_array(pieces, values.TEXT), dtype=STR))


_NOTHING = values.nulls(_NULLS)


def _without_query(paths: pa.Array) -> pa.Array:
    """Return paths as analytics have them: a query holds what differs by visitor, and may hold a secret."""
    if not pc.any(pc.match_substring(paths, "?")).as_py():
        return paths
    return pc.replace_substring_regex(paths, r"(?s)\?.*", "")


def _absent(count: int) -> list[pa.Array]:
    """Return a column of missing values, in pieces that share their memory."""
    return [_NOTHING] * (count // _NULLS) + [_NOTHING.slice(0, count % _NULLS)]


def _repeated(value: str | None, count: int) -> list[pa.Array]:
    """Return a column of one value, in pieces that share their memory."""
    piece = pa.array([value], values.TEXT).take(pa.array(np.zeros(min(count, _NULLS), np.int64)))
    return [piece] * (count // _NULLS) + [piece.slice(0, count % _NULLS)] if count else []


def _constant(value: str | None, count: int) -> pd.Series:
    return _text(_repeated(value, count))


def _moments(micros: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")


def _levels(parts: Sequence[Columns], counts: Sequence[int]) -> pd.Series:
    """Return the levels in their order, the strange ones after those that are known."""
    coded = [part.pop("level").dictionary_encode() if "level" in part else None for part in parts]
    written = {name for piece in coded if piece is not None for name in piece.dictionary.to_pylist()}
    categories = [*LEVELS, *sorted(written - set(LEVELS))]
    number = {name: place for place, name in enumerate(categories)}
    whole = np.full(sum(counts), -1, np.int32)
    at = 0
    for piece, count in zip(coded, counts, strict=True):
        if piece is not None:
            known = np.array([*(number[name] for name in piece.dictionary.to_pylist()), -1], np.int32)
            whole[at : at + count] = known[pc.fill_null(piece.indices, len(known) - 1).to_numpy()]
        at += count
    return pd.Series(_category(whole, categories))
