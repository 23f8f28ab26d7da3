"""Blame: whether a deployment is likely behind a rise of server errors, with the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from createos_nb import metrics, schema
from createos_nb.api.deployments import Deployment
from createos_nb.errors import InvalidArgument
from createos_nb.markup import escape, frame_table, one_line
from createos_nb.metrics.dora import SERVED
from createos_nb.timerange import TimeRange, duration

if TYPE_CHECKING:
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
        ``"likely"`` when the 5xx share rose right after exactly one deployment was created, else
        ``"cannot tell"``.
    reason
        One sentence.
    suspect
        The deployment that is likely behind it; None when none is.
    evidence
        Sentences: what the verdict rests on, and what it does not know.
    changed_at
        Start of the first interval with the higher 5xx share, aware UTC; None when no rise was found.
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


def blame(selection: Selection, window: TimeRange, *, significance: float = 0.01, lag: str = "15m") -> Blame:
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
    It takes two requests, and two more when there was a rise. The test is that of
    `createos_nb.metrics.change_points`. After is not because: of a deployment and a cause that came at the
    same time, traffic cannot tell which it was.
    """
    if len(selection) != 1:
        raise InvalidArgument(
            f"Blame looks at one environment, and this selection has {len(selection)}. Choose one, such as "
            "ws['shop/production']."
        )
    (target,) = selection.targets()
    longest = duration(lag)
    over_time = selection.analytics.requests_over_time(start=window.start, end=window.end)
    changes = metrics.change_points(over_time, significance=significance)
    listed = selection.api.deployments.list(target.project.id, max_rows=MAX_DEPLOYMENTS)
    near = [each for each in listed if window.start - longest <= each.created_at < window.end]
    # Of a listing that was cut, older ones may be missing; then the last one listed is the oldest there is.
    cut = not listed.complete and bool(near) and len(near) == len(listed)
    markers = schema.DEPLOYMENTS.frame(
        ({**schema.deployment_row(target.names[0], each, []), "environments": None} for each in near),
        complete=not cut,
    )
    found = _Found(selection, window, longest, over_time, changes, near, markers, cut=cut)
    rises = changes[(changes["verdict"] == "changed") & (changes["rate_after"] > changes["rate_before"])]
    return found.rose(rises.to_dict("records")[-1]) if len(rises) else found.quiet()


@dataclass(frozen=True)
class _Found:
    """What was asked of the platform, whatever came of it."""

    selection: Selection
    window: TimeRange
    lag: timedelta
    over_time: pd.DataFrame
    changes: pd.DataFrame
    deployments: list[Deployment]
    markers: pd.DataFrame
    cut: bool

    def quiet(self) -> Blame:
        """Return what there is to say without a rise."""
        (why, *more) = self.changes["reason"] if len(self.changes) else ("There were no rows.",)
        reason = f"The 5xx share was not seen to rise. {why}"
        return self._told("cannot tell", reason, None, (*more, *self._caveats()))

    def rose(self, rise: dict[Any, Any]) -> Blame:
        """Return what there is to say about a rise."""
        at, earliest, latest = (rise[name].to_pydatetime() for name in ("at", "earliest", "latest"))
        suspects = [
            each
            for each in self.deployments
            if each.status in SERVED and earliest - self.lag <= each.created_at <= latest
        ]
        before, after = self._sides(at)
        comparison = metrics.compare(after, before)
        errors = self._errors(at, before, after)
        new = errors[(errors["listed"] == "after") & errors["status"].str.startswith("5")]
        paths = ", ".join(f"{one_line(row['path'], limit=60)} ({row['status']})" for row in new.to_dict("records"))
        span = f"{earliest:%H:%M:%S} to {latest:%H:%M:%S} UTC"
        evidence = (
            f"{rise['reason']} It changed between {span}.",
            *([f"New among the paths that fail most: {paths}."] if paths else []),
            *(self._created(each, at) for each in suspects),
            *([self._by_chance(latest - earliest)] if suspects else []),
            *self._caveats(),
        )
        rest = f"the 5xx share rose at {at:%H:%M} UTC"
        verdict = "cannot tell"
        suspect: Deployment | None = None
        match suspects:
            case [one]:
                verdict, suspect = "likely", one
                reason = f"{one.version} is likely behind it: {rest}, and it was created shortly before."
            case []:
                reason = f"{rest[0].upper()}{rest[1:]}, but no deployment was created shortly before."
            case many:
                versions = ", ".join(each.version for each in many)
                reason = f"{rest[0].upper()}{rest[1:]}, and any of {versions} may be behind it."
        return self._told(verdict, reason, suspect, evidence, at=at, comparison=comparison, errors=errors)

    def _sides(self, at: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the intervals before and after a change, as far as the changes beside it."""
        others = self.changes["at"]
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
        return metrics.movers(top(start=at, end=at + length), top(start=at - length, end=at))

    def _created(self, one: Deployment, at: datetime) -> str:
        seconds = (at - one.created_at).total_seconds()
        beside = "before" if seconds >= 0 else "after"
        return (
            f"{one.version} was created at {one.created_at:%H:%M:%S} UTC, {abs(seconds):.0f} s {beside} the first "
            "interval with the higher share. When it took traffic, the platform does not say."
        )

    def _by_chance(self, uncertain: timedelta) -> str:
        """Say how easily a change would fall behind a deployment without having to do with it."""
        reach, covered, until = self.lag + uncertain, timedelta(), self.window.start
        for each in sorted(self.deployments, key=lambda one: one.created_at):
            if each.status in SERVED:
                start, end = max(each.created_at, until), min(each.created_at + reach, self.window.end)
                covered, until = covered + max(end - start, timedelta()), max(until, end)
        share = covered / self.window.duration
        return (
            f"By chance: {share:.0%} of the window lies within {reach.total_seconds() / 60:.0f} min after a "
            "deployment."
        )

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
            2 if errors is None else 4,
            self.changes,
            self.markers,
            schema.COMPARISON.empty() if comparison is None else comparison,
            schema.MOVERS.empty() if errors is None else errors,
        )
