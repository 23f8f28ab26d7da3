"""Evidence: what is known about an incident, frozen when it was collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from createos_nb.timerange import TimeRange

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


@dataclass(frozen=True)
class Note:
    """What a person saw or did, in their words."""

    at: datetime
    text: str


@dataclass(frozen=True, eq=False)
class Pin:
    """A frame or a chart kept as it was when it was pinned, and why."""

    at: datetime
    why: str
    shown: pd.DataFrame | alt.TopLevelMixin


@dataclass(frozen=True)
class Gap:
    """Something the report would have shown, and why it cannot."""

    source: str
    reason: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything an incident report is made of; the report is a pure function of it.

    Attributes
    ----------
    identifier, title
        The incident's number and its name in one line.
    project, environment
        Whose incident it is.
    platform
        One line naming the platform that answered.
    window
        The time looked at.
    collected_at, collected_by
        When, and by which user of this machine.
    overall
        One row (`schema.OVERALL_REQUESTS`), or none when the platform did not answer.
    over_time
        Requests per interval and status class (`schema.REQUESTS_OVER_TIME`).
    error_paths
        Paths with the most failed requests (`schema.TOP_ERROR_PATHS`).
    deployments
        The project's deployments and which one is live (`schema.LIVE_DEPLOYMENTS`).
    live
        The environment as it is now, one row (`schema.ENVIRONMENTS`).
    journal
        Changes made through this package in the window (`schema.JOURNAL`).
    logs
        Runtime log of the window (`schema.LOGS`), values of variables masked.
    notes, pins
        What people added.
    gaps
        What is missing.
    """

    identifier: str
    title: str
    project: str
    environment: str
    platform: str
    window: TimeRange
    collected_at: datetime
    collected_by: str
    overall: pd.DataFrame
    over_time: pd.DataFrame
    error_paths: pd.DataFrame
    deployments: pd.DataFrame
    live: pd.DataFrame
    journal: pd.DataFrame
    logs: pd.DataFrame
    notes: tuple[Note, ...] = ()
    pins: tuple[Pin, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())

    @property
    def name(self) -> str:
        """``project/environment``."""
        return f"{self.project}/{self.environment}"

    def clock(self, moment: datetime) -> str:
        """Return a moment in UTC to the second, with its date when the window crosses midnight."""
        start, end = self.window.start, self.window.end
        return f"{moment:%H:%M:%S}" if start.date() == end.date() else f"{moment:%d %b %H:%M:%S}"

    def version(self, deployment_id: str) -> str:
        """Return ``"v3"`` for a deployment's id; the id's beginning when it is not among the deployments."""
        versions = {row["deployment_id"]: row["version"] for row in rows(self.deployments)}
        return str(versions.get(deployment_id, deployment_id[:8]))


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as plain values, None where one is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [dict(zip(plain.columns, row, strict=True)) for row in plain.itertuples(index=False, name=None)]
