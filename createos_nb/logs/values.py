"""Values: what loggers write for times, levels, statuses and durations, read column by column."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs.lines import Mask, Offsets, among, content, offsets, strings
from createos_nb.schema import LEVELS

TEXT = pa.large_string()
TIME = pa.timestamp("us", "UTC")

LEVEL_NAMES: Mapping[str, str] = {
    **{name: name for name in LEVELS},
    "TRC": "TRACE",
    "FINE": "DEBUG",
    "VERBOSE": "DEBUG",
    "DBG": "DEBUG",
    "INF": "INFO",
    "NOTICE": "INFO",
    "INFORMATION": "INFO",
    "WARN": "WARNING",
    "WRN": "WARNING",
    "ERR": "ERROR",
    "SEVERE": "ERROR",
    "CRIT": "CRITICAL",
    "FATAL": "CRITICAL",
    "FTL": "CRITICAL",
    "PANIC": "CRITICAL",
    "DPANIC": "CRITICAL",
    "ALERT": "CRITICAL",
    "EMERG": "CRITICAL",
    "FATAL ERROR": "CRITICAL",
    # klog writes one letter.
    "I": "INFO",
    "W": "WARNING",
    "E": "ERROR",
    "F": "CRITICAL",
    # pino and bunyan, the common loggers of Node, write numbers.
    "10": "TRACE",
    "20": "DEBUG",
    "30": "INFO",
    "40": "WARNING",
    "50": "ERROR",
    "60": "CRITICAL",
}
"""What loggers call the levels, in capitals."""

_STEPPED = re.compile(r"([A-Z]+)[+-]\d{1,3}")  # Go's slog writes what lies between two levels as INFO+2
_UNIX = r"^\d{9,19}(?:\.\d{1,9})?$"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DURATION = r"^(?P<number>\d{1,12}(?:\.\d{1,12})?)(?P<unit>ns|us|µs|μs|ms|s|m|h)$"
_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


def nulls(count: int, kind: pa.DataType = TEXT) -> pa.Array:
    """Return a column of missing values."""
    return pa.nulls(count, kind)


def matching(column: pa.Array, pattern: str) -> pa.Array:
    """Return where a column matches a pattern; a missing value does not."""
    return pc.fill_null(pc.match_substring_regex(column, pattern), pa.scalar(value=False))


def level(value: str) -> str:
    """Return the platform's word for a level; a strange one as it is."""
    upper = value.strip().upper()
    stepped = _STEPPED.fullmatch(upper)
    return LEVEL_NAMES.get(stepped[1] if stepped else upper, value)


def levels(values: pa.Array) -> pa.Array:
    """Return levels in one spelling; strange ones are kept."""
    coded = values.dictionary_encode()
    known = pa.array([level(value) for value in coded.dictionary.to_pylist()], TEXT)
    return known.take(coded.indices)


def times(values: pa.Array) -> pa.Array:
    """Return times written in ISO 8601 or as unix time; what is neither is missing.

    A comma is read as a decimal point, a slash as a dash, and a time without an offset as UTC, which
    containers run in.
    """
    try:
        return _iso(values).cast(pa.timestamp("ns", "UTC")).cast(TIME, safe=False)
    except pa.ArrowInvalid:
        return _each_time(values)


def _iso(values: pa.Array) -> pa.Array:
    """Return times as Arrow reads them: no comma, no slash, and an offset."""
    for written, read in ((",", "."), ("/", "-"), (" UTC", "Z")):
        if _holds(values, written[-1:]):
            values = pc.replace_substring(values, written, read)
    # A blank may stand before the offset, and between date and time.
    if _holds(values, " ") and pc.any(pc.match_substring_regex(values, r" [+-]\d\d:?\d\d$")).as_py():
        values = pc.replace_substring_regex(values, r" ([+-]\d\d:?\d\d)$", r"\1")
    zoned = _has_offset(values)
    if zoned.all():
        return values
    return pc.binary_join_element_wise(
        values, pc.if_else(pa.array(zoned), pa.scalar("", TEXT), pa.scalar("Z", TEXT)), pa.scalar("", TEXT)
    )


def _holds(values: pa.Array, character: str) -> bool:
    bounds = offsets(values)
    return bool((content(values)[bounds[0] : bounds[-1]] == ord(character)).any())


def _has_offset(values: pa.Array) -> Mask:
    bounds, held = offsets(values), content(values)
    if len(held) == 0:
        return np.ones(len(values), bool)
    starts, ends = bounds[:-1], bounds[1:]

    def back(places: int, characters: bytes) -> Mask:
        at = ends - places
        found = among(held[np.maximum(at, 0)], characters)
        far: Mask = at >= starts + (19 if places > 1 else 0)
        return found & far

    found = np.logical_or(back(1, b"Zz"), starts == ends)
    if not found.all():
        found |= back(6, b"+-") | back(5, b"+-") | back(3, b"+-")
    return np.asarray(found, bool)


def _each_time(values: pa.Array) -> pa.Array:
    """Return times of which some are none, or are of another sort than the rest."""
    unix = matching(values, _UNIX)
    numbers = pc.cast(pc.if_else(unix, values, pa.scalar(None, TEXT)), pa.float64())
    # pandas would take "now" and "today" for times as well.
    digit = matching(values, r"^\d{4}-?\d\d")
    ours = pc.and_(digit, pc.invert(unix))
    written = _iso(pc.if_else(ours, values, pa.scalar(None, TEXT)))
    parsed = pd.to_datetime(
        pd.Series(written.to_pylist(), dtype="str"), format="ISO8601", utc=True, errors="coerce"
    )
    return pc.coalesce(_micros(parsed), unix_times(numbers))


def _micros(parsed: pd.Series) -> pa.Array:
    held = parsed.dt.as_unit("us").dt.tz_localize(None).to_numpy()
    return pa.array(held, pa.timestamp("us")).cast(pa.int64()).cast(TIME)


def unix_times(values: pa.Array) -> pa.Array:
    """Return times written in seconds, milli-, micro- or nanoseconds since 1970.

    Which of them it is, is told by the size that they have today.
    """
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(numbers)
        factors = np.select([size < 1e11, size < 1e14, size < 1e17, size < 1e20], [1e6, 1e3, 1.0, 1e-3], np.nan)
        micros = np.round(numbers * factors)
    known = np.isfinite(micros)
    return pa.array(np.where(known, micros, 0).astype(np.int64), mask=~known).cast(TIME)


def access_times(values: pa.Array) -> pa.Array:
    """Return the times of access logs: ``25/Nov/2026:00:00:00 +0000``, 26 characters each."""
    bounds = offsets(values)
    count = len(values)
    if count == 0:
        return nulls(0, TIME)
    written = content(values)[bounds[0] : bounds[-1]].reshape(count, 26)
    iso = np.empty((count, 24), np.uint8)
    iso[:, 0:4] = written[:, 7:11]
    iso[:, 8:10] = written[:, 0:2]
    iso[:, [4, 7]] = ord("-")
    iso[:, 10] = ord("T")
    iso[:, 11:19] = written[:, 12:20]
    iso[:, 19:24] = written[:, 21:26]
    month = written[:, 3].astype(np.int32) * 65536 + written[:, 4].astype(np.int32) * 256 + written[:, 5]
    keys = np.array([int.from_bytes(name.encode(), "big") for name in _MONTHS])
    number = (
        1 + np.argmax(month[:, None] == keys, axis=1)
        if not _one(month)
        else np.full(count, 1 + int(np.argmax(month[0] == keys)), np.int64)
    )
    iso[:, 5] = ord("0") + number // 10
    iso[:, 6] = ord("0") + number % 10
    places: Offsets = np.arange(count + 1) * 24
    return times(strings(places, iso.tobytes()))


def _one(values: np.ndarray) -> bool:
    return bool((values == values[0]).all())


def statuses(values: pa.Array) -> pa.Array:
    """Return those that are HTTP statuses, 100 to 999."""
    if pa.types.is_large_string(values.type):
        fits = matching(values, "^[1-9][0-9]{2}$")
        return pc.cast(pc.if_else(fits, values, pa.scalar(None, TEXT)), pa.int64())
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
    with np.errstate(invalid="ignore"):
        known = (numbers >= 100) & (numbers < 1000) & (numbers == np.floor(numbers))
    return pa.array(np.where(known, numbers, 0).astype(np.int64), mask=~known)


def numbers(values: pa.Array, factor: float = 1.0) -> pa.Array:
    """Return numbers times a factor; text that is none is missing."""
    if pa.types.is_large_string(values.type):
        fits = matching(values, r"^-?\d{1,15}(?:\.\d{1,15})?$")
        values = pc.cast(pc.if_else(fits, values, pa.scalar(None, TEXT)), pa.float64())
    finite = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    return finite if factor == 1.0 else pc.multiply(finite, factor)


def durations(values: pa.Array) -> pa.Array:
    """Return durations that name their unit, such as ``12.5ms``, in milliseconds; others are missing."""
    if not pa.types.is_large_string(values.type):
        return nulls(len(values), pa.float64())
    found = pc.extract_regex(values, _DURATION)
    units = pc.struct_field(found, "unit").dictionary_encode()
    factors = pa.array([_MS[unit] for unit in units.dictionary.to_pylist()], pa.float64()).take(units.indices)
    return pc.multiply(pc.cast(pc.struct_field(found, "number"), pa.float64()), factors)
