"""Sections: the displayable parts of an incident report, each a pure function of the evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from createos_nb import charts
from createos_nb.reports.display import Excerpt, Facts, Figures, Table
from createos_nb.reports.evidence import Evidence, rows
from createos_nb.reports.impact import impact
from createos_nb.reports.timeline import ENDS
from createos_nb.reports.timeline import timeline as moments

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import altair as alt
    import pandas as pd

_MOST_ROWS = 100
_NOTHING = "\N{EN DASH}"
_EXCERPT_LINES = 40
_NUMBER = re.compile(r"\d+")


def facts(evidence: Evidence) -> Facts:
    """Return whose incident it is, the window, and where the figures come from."""
    start, end = evidence.window.start, evidence.window.end
    return Facts(
        [
            ("Environment", evidence.name),
            (
                "Window",
                f"{start:%d %B %Y, %H:%M:%S} to {_until(start, end)} UTC ({_length(evidence.window.duration)})",
            ),
            ("Platform", evidence.platform),
            ("Collected", f"{evidence.collected_at:%d %B %Y, %H:%M:%S} UTC by {evidence.collected_by}"),
        ]
    )


def _until(start: datetime, end: datetime) -> str:
    return f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%d %B %Y, %H:%M:%S}"


def figures(evidence: Evidence) -> Figures:
    """Return the impact in five figures; a dash where there was nothing to count."""
    hurt = impact(evidence)
    return Figures(
        [
            (_count(hurt.requests), "requests"),
            (_count(hurt.errors), "failed (5xx)"),
            (_percent(hurt.error_rate), "error rate"),
            (_percent(hurt.worst_rate), "at its worst"),
            (_length(hurt.duration), "with errors" if hurt.is_over else "with errors so far"),
        ]
    )


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _percent(share: float | None) -> str:
    return _NOTHING if share is None else f"{share:.1%}"


def _length(duration: timedelta | None) -> str:
    if duration is None:
        return _NOTHING
    seconds = duration.total_seconds()
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"


def requests_chart(evidence: Evidence) -> alt.TopLevelMixin:
    """Return requests by status class, with a marker where each deployment was created."""
    return charts.requests_over_time(evidence.over_time, _in_window(evidence))


def error_rate_chart(evidence: Evidence) -> alt.TopLevelMixin:
    """Return the share of failed requests over time, with a marker where each deployment was created."""
    return charts.error_rate(evidence.over_time, _in_window(evidence))


def _in_window(evidence: Evidence) -> pd.DataFrame:
    created = evidence.deployments["created_at"]
    return evidence.deployments[(created >= evidence.window.start) & (created < evidence.window.end)]


def actions(evidence: Evidence) -> Table:
    """Return the changes made through this package: when, who, what, how it ended."""
    lines = [
        (
            evidence.clock(row["at"]),
            row["user"] or "",
            row["kind"],
            row["step"] or "end",
            row["outcome"] or row["state"],
            row["detail"] or "",
        )
        for row in rows(evidence.journal)
        if row["outcome"] or row["state"] in ENDS
    ]
    return _newest(("time (UTC)", "who", "change", "step", "outcome", "detail"), lines)


def timeline(evidence: Evidence) -> Table:
    """Return what happened in order of time: deployments, errors, changes, notes."""
    lines = [(evidence.clock(one.at), one.what, one.detail, one.who) for one in moments(evidence)]
    return _newest(("time (UTC)", "what", "detail", "who"), lines)


def _newest(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    left_out = len(lines) - _MOST_ROWS
    note = f"{left_out:,} earlier lines are not shown." if left_out > 0 else None
    return Table(columns, lines[-_MOST_ROWS:], note=note if lines else "Nothing is known of in the window.")


def error_paths(evidence: Evidence) -> Table:
    """Return which paths answered with which error: failures before the caller's errors, then by frequency."""
    ranked = sorted(rows(evidence.error_paths), key=lambda row: (not row["status"].startswith("5"), row["rank"]))
    lines = [(f"{row['requests']:,}", row["status"], row["path"]) for row in ranked]
    callers = any(status.startswith("4") for _requests, status, _path in lines)
    note = "4xx are the caller's errors; they do not count as failed." if callers else None
    return Table(("requests", "status", "path"), lines, note=note if lines else "No path answered with an error.")


def errors_logged(evidence: Evidence, *, most: int = 10) -> Table:
    """Return the distinct errors of the log, most frequent first.

    Parameters
    ----------
    evidence
        What was collected.
    most
        Rows to show. Lines that differ only in numbers count as one.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in _error_lines(evidence):
        groups.setdefault(_NUMBER.sub("0", _said(line)), []).append(line)
    lines = [
        (f"{len(group):,}", _first_and_last(evidence, group), _said(group[-1])[:300])
        for group in sorted(groups.values(), key=len, reverse=True)
    ]
    note = f"{len(lines) - most} more kinds of error are not shown." if len(lines) > most else None
    return Table(("lines", "time (UTC)", "error"), lines[:most], note=note if lines else "The log shows no error.")


def log_excerpt(evidence: Evidence) -> Excerpt:
    """Return the newest error of the log as it was written, at most forty lines of it."""
    errors = _error_lines(evidence)
    if not errors:
        return Excerpt("(the log shows no error)")
    newest = ([line for line in errors if line["trace"]] or errors)[-1]
    lines = [newest["message"], *(newest["trace"] or "").splitlines()]
    if len(lines) > _EXCERPT_LINES:
        half = _EXCERPT_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} lines left out …", *lines[-half:]]
    stamp = f"{newest['timestamp']:%Y-%m-%d %H:%M:%S} UTC" if newest["timestamp"] else "at an unknown time"
    return Excerpt("\n".join([f"{stamp}  {newest['level'] or ''}".rstrip(), *(line[:400] for line in lines)]))


def _error_lines(evidence: Evidence) -> list[dict[str, Any]]:
    logs = evidence.logs
    return rows(logs[logs["level"].isin(["ERROR", "CRITICAL"]) | logs["trace"].notna()])


def _said(line: dict[str, Any]) -> str:
    message = str(line["message"]).strip()
    # The last line of a traceback names the exception.
    return f"{message}: {line['trace'].strip().splitlines()[-1].strip()}" if line["trace"] else message


def _first_and_last(evidence: Evidence, lines: list[dict[str, Any]]) -> str:
    times = [evidence.clock(line["timestamp"]) for line in lines if line["timestamp"]]
    if not times:
        return ""
    return times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"


def live(evidence: Evidence) -> Facts:
    """Return what is live on the environment now, and on which resources."""
    if evidence.live.empty:
        return Facts([("Environment", f"{evidence.name}: the platform did not say")])
    (now,) = rows(evidence.live)
    return Facts(
        [
            ("Environment", f"{evidence.name}, {now['status']}"),
            ("Deployment", _deployment(evidence, now["deployment_id"]) if now["deployment_id"] else "none"),
            (
                "Auto-promote",
                "on: the next good deployment goes live by itself" if now["auto_promote"] else _PINNED,
            ),
            ("Resources", _resources(now)),
            ("Address", now["endpoint"] or "none"),
        ]
    )


_PINNED = "off: later deployments stay off this environment until someone puts one live"


def _deployment(evidence: Evidence, deployment_id: str) -> str:
    created = [row["created_at"] for row in rows(evidence.deployments) if row["deployment_id"] == deployment_id]
    when = f", created {created[0]:%d %B %Y, %H:%M:%S} UTC" if created else ""
    return f"{evidence.version(deployment_id)}{when} (id {deployment_id})"


def _resources(now: dict[str, Any]) -> str:
    replicas = now["replicas"]
    if replicas is None:
        return "unknown"
    each = f"{now['cpu_millicores']} millicores and {now['memory_mb']} MB each"
    return f"{replicas} {'replica' if replicas == 1 else 'replicas'}, {each}"
