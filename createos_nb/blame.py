"""Blame: whether a deployment is likely behind a rise of server errors, with the evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from createos_nb import metrics, schema
from createos_nb.api.deployments import Deployment
from createos_nb.errors import InvalidArgument, NotFound
from createos_nb.markup import escape, frame_table, one_line
from createos_nb.metrics.comparison import Counts
from createos_nb.metrics.dora import SERVED
from createos_nb.metrics.intervals import intervals
from createos_nb.plans.journal import Journal
from createos_nb.suspects import Judgement, Rise, Suspect, judge, rises
from createos_nb.timerange import TimeRange, duration

if TYPE_CHECKING:
    from createos_nb.frames import EnvironmentFrames
    from createos_nb.selection import Selection

MAX_DEPLOYMENTS = 20
"""The newest that are looked at: what one request brings."""

_COMPARED = (
    *("start", "end", "requests", "rpm", "errors"),
    *("error_rate", "error_rate_low", "error_rate_high"),
)


@dataclass(frozen=True, repr=False)
class Blame:
    """What was found; its frames are copies that one may change.

    Attributes
    ----------
    project, environment
        What was looked at.
    window
        The time that was looked at.
    verdict
        ``"likely"`` when the 5xx share rose right after exactly one deployment was created, or put live
        again, else ``"cannot tell"``.
    reason
        One sentence.
    suspect
        The deployment that is likely behind it; None when none is.
    evidence
        Sentences: what the verdict rests on, and what it does not know.
    changed_at
        Start of the first interval with the higher 5xx share, aware UTC; None when no rise was found. Of
        several rises, one of the last ones that no fall divides: the highest with somebody likely behind it,
        else the first. The others are in the evidence.
    requests
        How many requests to the platform it took at most; what is held of a window that is over costs none.
    """

    project: str
    environment: str
    window: TimeRange
    verdict: str
    reason: str
    suspect: Deployment | None
    evidence: tuple[str, ...]
    changed_at: datetime | None
    requests: int
    _changes: pd.DataFrame
    _markers: pd.DataFrame
    _comparison: pd.DataFrame
    _errors: pd.DataFrame

    def frame(self) -> pd.DataFrame:
        """Return the verdict as a frame of one row (`schema.BLAME`)."""
        return schema.BLAME.frame(
            [
                {
                    "project": self.project,
                    "environment": self.environment,
                    "start": self.window.start,
                    "end": self.window.end,
                    "verdict": self.verdict,
                    "deployment_id": self.suspect.id if self.suspect else None,
                    "version": self.suspect.version if self.suspect else None,
                    "created_at": self.suspect.created_at if self.suspect else None,
                    "changed_at": self.changed_at,
                    "reason": self.reason,
                }
            ]
        )

    def change_points(self) -> pd.DataFrame:
        """Return every change of the 5xx share in the window (`schema.CHANGE_POINTS`)."""
        return self._changes.copy()

    def deployments(self) -> pd.DataFrame:
        """Return the deployments created in the window or shortly before it (`schema.DEPLOYMENTS`).

        ``created_at`` is when a deployment was created. It took traffic later, by a build; when, the platform
        does not say. ``environments`` is missing: where each is live now was not asked.
        """
        return self._markers.copy()

    def comparison(self) -> pd.DataFrame:
        """Return volume and 5xx share after the rise beside those before it (`schema.COMPARISON`)."""
        return self._comparison.copy()

    def error_paths(self) -> pd.DataFrame:
        """Return the paths that failed after the rise beside those before it (`schema.MOVERS`).

        Of two windows of equal length, one on each side of the rise; new ones are ``listed`` only ``"after"``.
        """
        return self._errors.copy()

    def table(self) -> pd.DataFrame:
        """Return the before and after of the rise, one row each; no rows when there was none.

        Returns
        -------
        DataFrame
            ``when`` (str), ``start``, ``end`` (datetime64[us, UTC]), ``requests``, ``rpm``, ``errors``,
            ``error_rate`` (share) with its 95 % interval.
        """
        told = self._comparison
        before = told[[f"baseline_{name}" for name in _COMPARED]].set_axis(list(_COMPARED), axis=1)
        both = pd.concat([before, told[list(_COMPARED)]], ignore_index=True)
        both.insert(0, "when", pd.Series(["before", "after"][: len(both)], dtype="str"))
        return both

    def __repr__(self) -> str:
        target = one_line(f"{self.project}/{self.environment}")
        window = f"{self.window.start:%F %H:%M} to {self.window.end:%F %H:%M} UTC"
        lines = [f"Blame of {target}, {window}: {self.verdict}", f"  {one_line(self.reason, limit=1000)}"]
        return "\n".join([*lines, *(f"  - {one_line(each, limit=1000)}" for each in self.evidence)])

    def _repr_html_(self) -> str:
        evidence = "".join(f"<li>{escape(each)}</li>" for each in self.evidence)
        target = escape(one_line(f"{self.project}/{self.environment}"))
        parts = [
            f"<div style='font:13px/1.5 system-ui,sans-serif'><b>{escape(self.verdict)}</b> {target}: "
            f"{escape(self.reason)}<ul>{evidence}</ul></div>"
        ]
        if len(self._comparison):
            parts.append(frame_table(self.table(), caption="Before and after (UTC)"))
        if len(self._errors):
            shown = self._errors[["path", "status", "listed", "requests_before", "requests_after"]]
            parts.append(frame_table(shown, max_rows=10, caption="Error paths, equally long before and after"))
        if len(self._markers):
            markers = self._markers[["version", "status", "created_at"]]
            parts.append(frame_table(markers, max_rows=10, caption="Deployments by creation, not by first traffic"))
        return "\n".join(parts)


def blame(selection: Selection, window: TimeRange, *, significance: float = 0.01, lag: str = "5m") -> Blame:
    """Say whether a deployment is likely behind a rise of server errors of one environment.

    Parameters
    ----------
    selection
        One environment.
    window
        What to look at; at least some minutes before the rise and after it.
    significance
        Chance of a rise being seen anywhere in the window when nowhere is one.
    lag
        Longest time from a deployment's creation to its first traffic: queue, build and start.

    Returns
    -------
    `Blame`

    Raises
    ------
    InvalidArgument
        The selection is not one environment, or an option is out of its range.

    Notes
    -----
    It takes two requests, two more when there was a rise, and one more for a deployment that was created within
    the interval of a rise. The test is that of `createos_nb.metrics.change_points`; who is likely is told by
    `createos_nb.suspects.judge`. After is not because: of a deployment and a cause that came at the same time,
    traffic cannot tell which it was. An older deployment that was put live again is known where this machine's
    journal holds it.
    """
    refuse_many(selection)
    found = _Found.of(selection, window, duration(lag), significance)
    return found.rose() if found.runs else found.quiet()


def refuse_many(selection: EnvironmentFrames) -> None:
    """Refuse a selection that is not one environment."""
    if len(selection) != 1:
        raise InvalidArgument(
            f"Blame looks at one environment, and this selection has {len(selection)}. Choose one, such as "
            "ws['shop/production']."
        )


@dataclass(frozen=True)
class _Found:
    """What was asked of the platform, whatever came of it."""

    selection: Selection
    window: TimeRange
    lag: timedelta
    over_time: pd.DataFrame
    changes: pd.DataFrame
    runs: list[list[Rise]]
    suspects: list[Suspect]
    markers: pd.DataFrame
    cut: bool
    asked: list[str]

    @classmethod
    def of(cls, selection: Selection, window: TimeRange, lag: timedelta, significance: float) -> _Found:
        """Ask for the traffic and the deployments."""
        (target,) = selection.targets()
        over_time = selection.analytics.requests_over_time(start=window.start, end=window.end)
        changes = metrics.change_points(over_time, significance=significance)
        held = next(intervals(over_time), None)
        runs = rises(changes, held, lag) if held else []
        listed = selection.api.deployments.list(target.project.id, max_rows=MAX_DEPLOYMENTS)
        near = [each for each in listed if window.start - lag <= each.created_at < window.end]
        # Of a listing that was cut, older ones may be missing; then the last one listed is the oldest there is.
        cut = not listed.complete and bool(near) and len(near) == len(listed)
        markers = schema.DEPLOYMENTS.frame(
            ({**schema.deployment_row(target.names[0], each, []), "environments": None} for each in near),
            complete=not cut,
        )
        created = [Suspect(each, each.created_at) for each in near if each.status in SERVED]
        found = cls(
            selection, window, lag, over_time, changes, runs, created, markers, cut, ["traffic", "deployments"]
        )
        found.suspects.extend(found._put_live({each.id: each for each in listed}))
        return found

    def _put_live(self, listed: dict[str, Deployment]) -> Iterator[Suspect]:
        """Return what this machine put live in reach of the window, by its journal."""
        (target,) = self.selection.targets()
        client = self.selection.api
        # The journal goes by this machine's clock, the traffic by the platform's.
        ahead = client.now() - datetime.now(UTC)
        for at, deployment_id in Journal().put_live(
            platform=client.settings.api_url, environment_id=target.environment.id
        ):
            if self.window.start - self.lag <= at + ahead < self.window.end:
                if deployment_id not in listed:
                    self.asked.append("deployment")
                    with suppress(NotFound):
                        listed[deployment_id] = client.deployments.get(target.project.id, deployment_id)
                if deployment_id in listed:
                    yield Suspect(listed[deployment_id], at + ahead, "put live")

    def quiet(self) -> Blame:
        """Return what there is to say without a rise."""
        (why, *more) = self.changes["reason"] if len(self.changes) else ("There were no rows.",)
        reason = f"The 5xx share was not seen to rise. {why}"
        return self._told("cannot tell", reason, None, (*more, *self._caveats()))

    def rose(self) -> Blame:
        """Return what there is to say about the last run of rises, and beside it about the others."""
        (over_time,) = intervals(self.over_time)
        judged = [
            [judge(rise, self.suspects, over_time, self.window, self.lag, self._count) for rise in run]
            for run in self.runs
        ]
        likely = [each for each in judged[-1] if each.suspect]
        told = max(likely, key=lambda each: each.rise.height) if likely else judged[-1][0]
        others = [each for run in judged for each in run if each is not told]
        rise = told.rise
        before, after = self._sides(rise)
        comparison = metrics.compare(after, before)
        errors = self._errors(rise.at, before, after)
        new = errors[(errors["listed"] == "after") & errors["status"].str.startswith("5")]
        paths = ", ".join(f"{one_line(row['path'], limit=60)} ({row['status']})" for row in new.to_dict("records"))
        evidence = (
            f"{rise.reason} It changed between {rise.earliest:%H:%M:%S} to {rise.latest:%H:%M:%S} UTC.",
            *([f"New among the paths that fail most: {paths}."] if paths else []),
            *told.evidence,
            *(f"Another rise, {_from_to(each)}: {each.reason}" for each in others),
            *self._caveats(),
            "An older deployment that another machine put live again is not known here; see ws.journal().",
        )
        verdict = "likely" if told.suspect else "cannot tell"
        suspect = told.suspect.deployment if told.suspect else None
        return self._told(verdict, told.reason, suspect, evidence, at=rise.at, comparison=comparison, errors=errors)

    def _count(self, start: datetime, end: datetime) -> Counts:
        """Count the requests and errors of a time."""
        self.asked.append("part of an interval")
        row = self.selection.analytics.overall_requests(start=start, end=end).iloc[0]
        return Counts(int(row["requests"]), int(row["server_errors"]))

    def _sides(self, rise: Rise) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the intervals before and after a rise, as far as the changes beside it."""
        at = rise.at
        others = self.changes["at"][~self.changes["at"].isin(rise.steps)]
        since, until = others[others < at].max(), others[others > at].min()
        times = self.over_time["timestamp"]
        before, after = times < at, times >= at
        if not pd.isna(since):
            before &= times >= since
        if not pd.isna(until):
            after &= times < until
        return self.over_time[before], self.over_time[after]

    def _errors(self, at: datetime, before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
        """Return the error paths of two windows, as long as the shorter of the two sides."""
        ends = after["timestamp"] + pd.to_timedelta(after["interval_s"], unit="s")
        length = min(at - max(before["timestamp"].min(), self.window.start), min(ends.max(), self.window.end) - at)
        top = self.selection.analytics.top_error_paths
        self.asked.extend(["errors after", "errors before"])
        return metrics.movers(top(start=at, end=at + length), top(start=at - length, end=at))

    def _caveats(self) -> tuple[str, ...]:
        cut = f"Only the newest {MAX_DEPLOYMENTS} deployments were looked at; older ones may fall into the window."
        return (cut,) if self.cut else ()

    def _told(
        self,
        verdict: str,
        reason: str,
        suspect: Deployment | None,
        evidence: tuple[str, ...],
        *,
        at: datetime | None = None,
        comparison: pd.DataFrame | None = None,
        errors: pd.DataFrame | None = None,
    ) -> Blame:
        (target,) = self.selection.targets()
        return Blame(
            *target.names,
            self.window,
            verdict,
            reason,
            suspect,
            evidence,
            at,
            len(self.asked),
            self.changes,
            self.markers,
            schema.COMPARISON.empty() if comparison is None else comparison,
            schema.MOVERS.empty() if errors is None else errors,
        )


def _from_to(judged: Judgement) -> str:
    before, after = (side.error_rate or 0.0 for side in (judged.rise.before, judged.rise.after))
    return f"from {before:.1%} to {after:.1%}"
