"""Timeline: deployments, errors, changes and notes of an incident in one order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from createos_nb.reports.evidence import Evidence, rows
from createos_nb.reports.impact import impact

ENDS = ("done", "undone", "unclear")
"""States in which a change ends, as the journal names them."""


@dataclass(frozen=True, order=True)
class Moment:
    """One line of the timeline."""

    at: datetime
    what: str
    detail: str
    who: str = ""


def timeline(evidence: Evidence) -> list[Moment]:
    """Return what happened, oldest first; equal evidence gives equal lines."""
    return sorted([*_deployments(evidence), *_errors(evidence), *_actions(evidence), *_notes(evidence)])


def _deployments(evidence: Evidence) -> Iterator[Moment]:
    for row in rows(evidence.deployments):
        if evidence.window.start <= row["created_at"] < evidence.window.end:
            message = f": {row['message']}" if row["message"] else ""
            yield Moment(row["created_at"], "deployment", f"{row['version']} created, {row['status']}{message}")


def _errors(evidence: Evidence) -> Iterator[Moment]:
    hurt = impact(evidence)
    if hurt.began_at is None or hurt.ended_at is None:
        return
    if hurt.exact:
        yield Moment(hurt.began_at, "errors", "first failed request in the log")
    else:
        yield Moment(hurt.began_at, "errors", "the interval from here has the first failed requests")
    if hurt.worst_at is not None and hurt.worst_rate is not None:
        detail = f"the interval from here is the worst: {hurt.worst_rate:.0%} of its requests fail"
        yield Moment(max(hurt.worst_at, hurt.began_at), "errors", detail)
    if hurt.is_over:
        last = "last failed request in the log" if hurt.exact else "the last interval with failed requests ends"
        yield Moment(hurt.ended_at, "errors", last)


def _actions(evidence: Evidence) -> Iterator[Moment]:
    for row in rows(evidence.journal):
        at, kind, who, detail = row["at"], row["kind"], row["user"] or "", row["detail"] or ""
        if row["state"] == "begin":
            yield Moment(at, kind, f"begun: {detail}" if detail else "begun", who)
        elif row["state"] in ENDS:
            yield Moment(at, kind, f"ended {row['state']}. {detail}", who)
        elif row["outcome"] and not row["operation"].startswith(("Get", "List")):
            yield Moment(at, kind, f"{row['step']}: {row['outcome']}", who)


def _notes(evidence: Evidence) -> Iterator[Moment]:
    for note in evidence.notes:
        yield Moment(note.at, "note", note.text)
