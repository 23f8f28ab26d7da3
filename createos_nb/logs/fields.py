"""Fields: the names that loggers give to what a log line says, and how each becomes a column."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import values

Columns = dict[str, pa.Array]
"""Columns of a log frame by name; those left out are missing throughout."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "timestamp": (
        *("timestamp", "time", "ts", "@timestamp", "datetime", "asctime", "created", "t"),
        *("eventTime", "timeMillis"),
    ),
    "level": ("level", "levelname", "severity", "lvl", "log.level", "loglevel", "log_level", "severity_text"),
    "message": ("message", "msg", "event", "short_message", "body", "textPayload"),
    "stream": ("stream",),
    "logger": ("logger", "name", "logger_name", "loggerName", "log.logger", "channel", "module", "caller"),
    "status": (
        *("status", "status_code", "statusCode", "http_status"),
        *(
            "res.statusCode",
            "response.status",
            "http.response.status_code",
            "http.status_code",
            "httpRequest.status",
        ),
    ),
    "method": (
        *("method", "http_method", "verb", "req.method", "request.method"),
        *("http.request.method", "http.method", "httpRequest.requestMethod"),
    ),
    "path": (
        *("path", "url", "uri", "request_uri", "req.url", "request.url", "request.path", "url.path"),
        *("http.target", "http.url", "httpRequest.requestUrl"),
    ),
    "duration_ms": (
        *("duration_ms", "latency_ms", "elapsed_ms", "took_ms", "response_time_ms", "responseTime", "durationMs"),
        *("duration_s", "duration_seconds", "elapsed_seconds", "duration_us", "duration_ns"),
        *("duration", "latency", "elapsed", "took", "httpRequest.latency"),
    ),
    "request_id": (
        *("request_id", "requestId", "request-id", "req_id", "reqId", "x_request_id", "x-request-id"),
        *("correlation_id", "correlationId", "req.id", "http.request.id"),
    ),
    "trace": (
        *("trace", "traceback", "exc_info", "exception", "stack", "stack_trace", "stacktrace", "error.stack_trace"),
        *("err.stack", "error.stack", "exception.stacktrace", "exc_text", "errorVerbose"),
    ),
}
"""Names for the same thing, the most telling first: the first that a line has a value for counts.

A dot leads into an object, ``req.url`` is the ``url`` of ``req``, or is a dot in the name itself.
"""

COLUMN_OF = {name: column for column, names in NAMES.items() for name in names}

_FACTORS = {
    "duration_ms": {
        **{name: 1.0 for name in NAMES["duration_ms"] if name.endswith(("_ms", "Ms")) or name == "responseTime"},
        **{name: 1e3 for name in NAMES["duration_ms"] if name.endswith(("_s", "_seconds"))},
        "duration_us": 1e-3,
        "duration_ns": 1e-6,
    }
}["duration_ms"]


def column(name: str, written: Mapping[str, pa.Array]) -> pa.Array:
    """Return one column, made of all the fields that may hold it.

    Parameters
    ----------
    name
        A key of `NAMES`.
    written
        Fields by the logger's name; text (``large_string``) or numbers (``float64``), at least one of them.
    """
    read = [_read(name, field, written[field]) for field in NAMES[name] if field in written]
    if len(read) == 1:
        return read[0]
    # What is empty counts where there is nothing else.
    told = [pc.if_else(pc.equal(each, ""), None, each) for each in read] if read[0].type == values.TEXT else []
    return pc.coalesce(*told, *read)


def columns(written: Mapping[str, pa.Array]) -> Columns:
    """Return the columns that fields hold, by the logger's names, in which they are written."""
    return {name: column(name, written) for name in NAMES if any(field in written for field in NAMES[name])}


def _read(name: str, field: str, written: pa.Array) -> pa.Array:
    number = pa.types.is_floating(written.type)
    match name:
        case "timestamp":
            return values.unix_times(written) if number else values.times(written)
        case "level":
            return values.levels(_text(written))
        case "status":
            return values.statuses(written)
        case "duration_ms" if field in _FACTORS:
            return values.numbers(written, _FACTORS[field])
        case "duration_ms":
            return values.durations(written)
        case "trace":
            # exc_info=true asks for a trace, and is none.
            return pc.if_else(
                pc.is_in(_text(written), pa.array(["true", "false", "1", "0"], values.TEXT)), None, _text(written)
            )
        case _:
            return _text(written)


def _text(written: pa.Array) -> pa.Array:
    if pa.types.is_large_string(written.type):
        return written
    if pa.types.is_floating(written.type):
        return pa.array([None if v is None else f"{v:.15g}" for v in written.to_pylist()], values.TEXT)
    return pc.cast(written, values.TEXT)
