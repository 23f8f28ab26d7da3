"""Patterns: log messages grouped by what they have in common, and those that are new.

What looks like a number, an id, an address or a time is masked first, over the whole column; each of the few
different texts that are left then goes once through drain3, which finds the words that differ.

Drain: He, Zhu, Zheng and Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from createos_nb.errors import InvalidArgument
from createos_nb.markup import visible
from createos_nb.schema import LEVELS, LOGS, PATTERNS
from createos_nb.timerange import duration, utc

NEEDED: Mapping[str, tuple[str, ...]] = {
    "patterns": ("project", "environment", "timestamp", "level", "message"),
    "first_seen": ("project", "environment", "timestamp", "level", "message"),
}
"""Columns of `schema.LOGS` that each function needs."""

MAX_DISTINCT = 5_000
"""Different masked messages of one level of an environment that are compared; rarer ones keep their own text."""
MAX_LENGTH = 1_000
"""Characters of a message that count, and that are shown."""

_TARGET = ["project", "environment"]
_APART = ["level", "status_class"]
_MOST_LEVELS = 10
"""Levels that are none of ours, by how frequent they are, that are kept apart; the others are one."""
_MAY_MISS = ["environment", "timestamp", "level", "message"]
# Whatever runs over a million lines: plain expressions without look-around, which Arrow's RE2 takes.
_MASKS = (
    (r"\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b", "<UUID>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "<TIME>"),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "<IP>"),
    (r"\b0x[0-9A-Fa-f]+\b", "<HEX>"),
    (r"\b[0-9a-f]*(?:[0-9][a-f]|[a-f][0-9])[0-9a-f]{6,}\b", "<HEX>"),
    (r"\d+(?:\.\d+)?", "<NUM>"),
)
_OTHER = "<*>"
_OTHER_LEVEL = "OTHER"


def patterns(logs: pd.DataFrame) -> pd.DataFrame:
    """Return the templates that log messages follow, the most frequent first within each environment.

    Lines of another level, or about another class of HTTP status, never share a template: what begins to fail is a
    row of its own, however much it looks like what went well.

    Parameters
    ----------
    logs
        Log lines; needs ``project``, ``environment``, ``timestamp``, ``level`` and ``message``, and counts
        ``status`` when it is there. Rows of followed logs that are no lines are left out. See `schema.LOGS`.

    Returns
    -------
    DataFrame of kind `schema.PATTERNS`, one row per environment, level, class of status and template
        Counts add up to the lines, shares of an environment to 1. Control and bidi characters are spelled out.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    Messages count up to 1,000 characters. Of the different masked messages of one level the 5,000 most
    frequent are compared; the others are templates of their own. A template groups messages with the same
    number of words and the same first one, of which at least four in ten words are equal. A line without a
    time, such as a traceback, was seen when the line before it was, or the one after where there is none.

    Examples
    --------
    >>> from createos_nb import schema
    >>> patterns(schema.sample("LOGS"))[["template", "level", "lines"]]
                        template    level  lines
    0       POST /checkout <NUM>    ERROR      2
    1        GET /products <NUM>     INFO      1
    2  GET /products/<NUM> <NUM>  WARNING      1
    3       POST /checkout <NUM>     INFO      1
    """
    taken = LOGS.take(logs, NEEDED["patterns"], may_miss=_MAY_MISS).assign(status_class=_class_of_status(logs))
    if "gap" in logs.columns:
        taken = taken[logs["gap"].isna().to_numpy()]
    if taken.empty:
        return PATTERNS.empty()
    taken = taken.assign(timestamp=_filled(taken))
    message = taken["message"].fillna("").str.slice(0, MAX_LENGTH)
    masked = message.str.strip()
    for pattern, name in _MASKS:
        masked = masked.str.replace(pattern, name, regex=True)
    distinct = (
        taken[[*_TARGET, *_APART, "timestamp"]]
        .assign(level=_levels(taken["level"]), masked=masked, example=message)
        .groupby([*_TARGET, *_APART, "masked"], sort=False, dropna=False)
        .agg(
            lines=("example", "size"),
            first_seen=("timestamp", "min"),
            last_seen=("timestamp", "max"),
            example=("example", "first"),
        )
        .reset_index()
    )
    distinct["template"] = (
        distinct.sort_values("lines", ascending=False, kind="stable")
        .groupby([*_TARGET, *_APART], sort=False, dropna=False)["masked"]
        .transform(_templates)
    )
    found = (
        distinct.groupby([*_TARGET, *_APART, "template"], sort=False, dropna=False)
        .agg(
            lines=("lines", "sum"),
            first_seen=("first_seen", "min"),
            last_seen=("last_seen", "max"),
            example=("example", "first"),
        )
        .reset_index()
        .sort_values([*_TARGET, "lines"], ascending=[True, True, False], kind="stable", ignore_index=True)
    )
    whole = found.groupby(_TARGET, dropna=False)["lines"].transform("sum")
    return PATTERNS.from_columns(
        {
            "project": list(found["project"]),
            "environment": list(found["environment"]),
            "template": [visible(text) for text in found["template"]],
            "level": [None if pd.isna(level) else level for level in found["level"]],
            "status_class": [None if pd.isna(each) else int(each) for each in found["status_class"]],
            "lines": list(found["lines"]),
            "share": list(found["lines"] / whole),
            "first_seen": list(found["first_seen"]),
            "last_seen": list(found["last_seen"]),
            "example": [visible(text) for text in found["example"]],
        },
        complete="complete" not in logs.columns or bool(logs["complete"].all()),
    )


def first_seen(logs: pd.DataFrame, *, since: str | pd.Timestamp | pd.Series[Any]) -> pd.DataFrame:
    """Return the templates that were first seen at a time or after it, such as since a deployment.

    Parameters
    ----------
    logs
        Log lines, from before that time too: without those nothing is known to be new. See `schema.LOGS`.
    since
        A deployment's row of a frame; an aware Timestamp, such as its ``created_at``; an ISO 8601 text with an
        offset; or a length such as ``"15m"``, back from the latest line.

    Returns
    -------
    DataFrame of kind `schema.PATTERNS`, the earliest first
        Those of environments without any time are left out. ``complete`` is False for environments with no line
        from before.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.
    InvalidArgument
        ``since`` is no time, or has no time zone.

    Examples
    --------
    >>> from createos_nb import schema
    >>> first_seen(schema.sample("LOGS"), since="2026-11-23T12:04:00Z")["example"].tolist()
    ['POST /checkout 500', 'POST /checkout 201']
    """
    taken = LOGS.take(logs, NEEDED["first_seen"], may_miss=_MAY_MISS)
    latest = taken["timestamp"].max()
    moment = _moment(since.get("created_at") if isinstance(since, pd.Series) else since, latest)
    found = patterns(logs)
    new = found[found["first_seen"] >= moment].sort_values("first_seen", kind="stable", ignore_index=True)
    before = taken[taken["timestamp"] < moment]
    known = set(zip(before["project"], before["environment"].fillna(""), strict=True))
    told = [pair in known for pair in zip(new["project"], new["environment"].fillna(""), strict=True)]
    return PATTERNS.check(new.assign(complete=new["complete"].to_numpy() & pd.Series(told, dtype=bool).to_numpy()))


def _filled(logs: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """Return each line's time, or its neighbour's."""
    groups = [logs[name] for name in _TARGET]
    before = logs["timestamp"].groupby(groups, sort=False, dropna=False).ffill()
    return before.groupby(groups, sort=False, dropna=False).bfill()


def _levels(levels: pd.Series[Any]) -> pd.Series[Any]:
    """Return levels of which there are few, whatever the lines say."""
    strange = [name for name in levels.value_counts().index if name not in LEVELS]
    return levels.astype("object").where(~levels.isin(strange[_MOST_LEVELS:]), _OTHER_LEVEL)


def _class_of_status(logs: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return 2 to 5 for the lines that are about a request, missing for the others."""
    if "status" not in logs.columns:
        return np.full(len(logs), np.nan)
    return pd.to_numeric(logs["status"], errors="coerce").to_numpy("float64", na_value=np.nan) // 100


def _moment(since: Any, latest: pd.Timestamp) -> pd.Timestamp:
    """Return a time, of a length the one that long before the latest line."""
    if isinstance(since, str) and since[:4].isdigit() and "-" in since:
        return pd.Timestamp(utc(since))
    if isinstance(since, str):
        end = pd.Timestamp.now("UTC") if pd.isna(latest) else latest
        try:
            return end - duration(since)
        except InvalidArgument as error:
            raise InvalidArgument(f"{error} Of a deployment give its row of deployments().") from None
    return pd.Timestamp(utc(since))


def _templates(masked: pd.Series[str]) -> pd.Series[str]:
    """Return the template of each masked message, all of them different."""
    from drain3.drain import Drain

    drain = Drain(depth=4, sim_th=0.4, max_children=100, param_str=_OTHER, parametrize_numeric_tokens=False)
    compared = masked.head(MAX_DISTINCT)
    clusters = [drain.add_log_message(text)[0] for text in compared]
    # A template goes on changing until the last message.
    common = [cluster.get_template() for cluster in clusters]
    return pd.Series([*common, *masked.iloc[MAX_DISTINCT:]], index=masked.index, dtype="str")
