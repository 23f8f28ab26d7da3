"""Suspects: what may be behind a rise of server errors, and whether it came before the rise.

A cause comes before what it causes, and an answer after what it answers: a deployment that was created, or put
live again, once requests had begun to fail is the likeliest of all to be an attempt to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from math import log
from typing import Any, Literal

import numpy as np
import pandas as pd

from createos_nb.api.deployments import Deployment
from createos_nb.metrics.comparison import Counts
from createos_nb.metrics.intervals import Intervals, moment
from createos_nb.metrics.shares import fisher
from createos_nb.timerange import TimeRange

MOST_BY_CHANCE = 0.2
"""Of the window, how much may lie as shortly after a deployment as the rise does, when one is to be "likely".

Some 70 % of outages come from changes in a live system (Site Reliability Engineering, ch. 1): with that to begin
with, nine of ten deployments that are called likely are behind it.
"""

_FAILING = 0.05
"""Chance of failures among the requests before a deployment above which they are no news."""

Counting = Callable[[datetime, datetime], Counts]
Timing = Literal["before", "within", "after"]


@dataclass(frozen=True)
class Suspect:
    """A deployment, and when it may have begun to take traffic.

    Attributes
    ----------
    deployment
        The deployment.
    at
        When that happened.
    how
        ``"created"``, or ``"put live"`` when the journal says that it was assigned.
    """

    deployment: Deployment
    at: datetime
    how: Literal["created", "put live"] = "created"

    @property
    def version(self) -> str:
        """The deployment's version."""
        return self.deployment.version


@dataclass(frozen=True)
class Rise:
    """A rise of the 5xx share.

    Attributes
    ----------
    at, until
        Start and end of the first interval with the higher share.
    earliest, latest
        Between these it began.
    before, after
        Requests and errors on both sides.
    steps
        Start of each interval from which on the share was higher than before; the first is ``at``.
    reason
        One sentence: from where to where, and how certainly.
    """

    at: datetime
    until: datetime
    earliest: datetime
    latest: datetime
    before: Counts
    after: Counts
    steps: tuple[datetime, ...]
    reason: str

    @classmethod
    def of(cls, rows: Sequence[dict[Any, Any]], over_time: Intervals) -> Rise:
        """Return the rise that rows of `schema.CHANGE_POINTS` tell, in as many steps."""
        first, last = rows[0], rows[-1]
        steps = tuple(row["at"].to_pydatetime() for row in rows)
        earliest, latest = (first[name].to_pydatetime() for name in ("earliest", "latest"))
        place = _place(over_time, steps[0])
        before, after = (
            Counts(row[f"requests_{side}"], row[f"errors_{side}"])
            for row, side in ((first, "before"), (last, "after"))
        )
        until = latest if place is None else moment(over_time.end_us[place])
        reason = " ".join(row["reason"] for row in rows)
        return cls(steps[0], until, earliest, latest, before, after, steps, reason)

    @property
    def height(self) -> float:
        """By how much the share rose."""
        return (self.after.error_rate or 0.0) - (self.before.error_rate or 0.0)

    def looks_begun(self, counted: Counts) -> bool:
        """Whether requests look more like those after it than like those before it."""
        # Half a request more on each side, so that what was never seen is not impossible.
        low, high = ((side.server_errors + 0.5) / (side.requests + 1) for side in (self.before, self.after))
        answered = counted.requests - counted.server_errors
        return counted.server_errors * log(high / low) + answered * log((1 - high) / (1 - low)) > 0

    def exceeded(self, counted: Counts) -> bool:
        """Whether more of some requests failed than chance makes of those before it."""
        before = self.before
        more = counted.server_errors * before.requests > before.server_errors * counted.requests
        chance = fisher(counted.requests, counted.server_errors, before.requests, before.server_errors)
        return more and chance <= _FAILING


@dataclass(frozen=True)
class Judgement:
    """What can be said about who is behind a rise.

    Attributes
    ----------
    rise
        The rise.
    suspect
        What is likely behind it; None when that cannot be told.
    reason, evidence
        A sentence, and those that it rests on.
    """

    rise: Rise
    suspect: Suspect | None
    reason: str
    evidence: tuple[str, ...]


def rises(changes: pd.DataFrame, over_time: Intervals, lag: timedelta) -> list[list[Rise]]:
    """Return the rises among changes, oldest first, in runs that no fall divides.

    Parameters
    ----------
    changes
        Of kind `schema.CHANGE_POINTS`, of one environment.
    over_time
        The requests over time in which they were seen.
    lag
        A rise that follows another one sooner is a step of it: the interval in which a share rises is a mixture,
        and what comes between the two may be an answer to the first.
    """
    runs: list[list[list[dict[Any, Any]]]] = []
    falling = True
    for row in changes[changes["verdict"] == "changed"].to_dict("records"):
        rose = row["rate_after"] > row["rate_before"]
        if rose and falling:
            runs.append([[row]])
        elif rose and row["at"] - runs[-1][-1][-1]["at"] < lag:
            runs[-1][-1].append(row)
        elif rose:
            runs[-1].append([row])
        falling = not rose
    return [[Rise.of(steps, over_time) for steps in run] for run in runs]


def judge(
    rise: Rise,
    suspects: Sequence[Suspect],
    over_time: Intervals,
    window: TimeRange,
    lag: timedelta,
    count: Counting,
) -> Judgement:
    """Say who is likely behind a rise, or that it cannot be told.

    Parameters
    ----------
    rise
        The rise.
    suspects
        Every deployment in reach of the window.
    over_time
        The requests over time in which it was seen.
    window
        What was looked at.
    lag
        Longest time from a suspect's beginning to its first traffic.
    count
        Counts the requests and errors of a time within an interval.

    Notes
    -----
    "Likely" is exactly one that was there before more requests failed than before, at most ``lag`` earlier,
    when at most `MOST_BY_CHANCE` of the window lies as shortly after a deployment.
    """
    near = [one for one in suspects if rise.earliest - lag <= one.at <= rise.latest + lag]
    timed = [(one, *_timing(rise, one, over_time, count)) for one in near]
    # The newest first, as deployments are listed.
    chosen = sorted(_one_each(timed), key=lambda each: each[0].at, reverse=True)
    possible = [(one, timing) for one, timing, _ in chosen if timing != "after"]
    later = [one for one, timing, _ in chosen if timing == "after"]
    earlier = [one for one in suspects if one.at < rise.earliest - lag]
    rest = f"the 5xx share rose at {rise.at:%H:%M} UTC"
    chance = ""
    suspect = None
    match possible:
        case [(one, timing)]:
            share, chance = _by_chance(rise.until - one.at, suspects, window)
            if share > MOST_BY_CHANCE:
                reason = (
                    f"{one.version} was {one.how} shortly before {rest}, which may be chance: {share:.0%} of the "
                    "window lies as shortly after a deployment."
                )
            elif timing == "within":
                suspect = one
                reason = (
                    f"{one.version} is likely behind it: {rest}, and it was {one.how} within that interval, before "
                    "more requests failed than usual."
                )
            else:
                suspect = one
                reason = f"{one.version} is likely behind it: {rest}, and it was {one.how} shortly before."
        case []:
            reason = f"{_capital(rest)}, but no deployment was created or put live shortly before."
            reason += "".join(f" {one.version} was {one.how} after the rise began." for one in later)
        case _:
            versions = ", ".join(one.version for one, _ in possible)
            reason = f"{_capital(rest)}, and any of {versions} may be behind it."
    told = [sentence for _, _, sentence in chosen]
    if not possible and earlier:
        told.append(_long_before(max(earlier, key=lambda one: one.at), rise, lag))
    return Judgement(rise, suspect, reason, (*told, *([chance] if chance else [])))


def _timing(rise: Rise, one: Suspect, over_time: Intervals, count: Counting) -> tuple[Timing, str]:
    """Return when something happened beside a rise, and a sentence about it."""
    was = f"{one.version} was {one.how} at {one.at:%H:%M:%S} UTC"
    if one.at >= rise.until:
        return "after", f"{was}, after the rise began: the first interval with the higher share was over."
    within = one.at >= rise.at
    counted = Counts(0, 0)
    if one.at > rise.earliest and (place := _place(over_time, one.at)) is not None:
        # The platform counts by whole seconds.
        start, end = moment(over_time.start_us[place]), one.at.replace(microsecond=0)
        counted = count(start, end) if end > start else counted
    failed = f"of that interval's {counted.requests:,} requests before it, {counted.server_errors:,} failed"
    if rise.exceeded(counted) or _begun(rise, one, over_time, counted):
        return "after", f"{was}, after the rise may have begun: {failed}."
    unknown = "When it took traffic, the platform does not say." if one.how == "created" else "The journal says so."
    if within:
        seconds = (one.at - rise.at).total_seconds()
        return (
            "within",
            f"{was}, {seconds:.0f} s into the first interval with the higher share; {failed}. {unknown}",
        )
    seconds = (rise.at - one.at).total_seconds()
    return "before", f"{was}, {seconds:.0f} s before the first interval with the higher share. {unknown}"


def _begun(rise: Rise, one: Suspect, over_time: Intervals, counted: Counts) -> bool:
    """Whether the requests right before something look like those after the rise, for however short a time."""
    at_us, earliest_us = (round(moment.timestamp() * 1_000_000) for moment in (one.at, rise.earliest))
    between = over_time[(over_time.start_us >= earliest_us) & (over_time.end_us <= at_us)]
    requests = np.cumsum(np.append(counted.requests, between.requests[::-1]))
    errors = np.cumsum(np.append(counted.server_errors, between.errors[::-1]))
    return any(rise.looks_begun(Counts(int(n), int(k))) for n, k in zip(requests, errors, strict=True))


def _one_each(timed: Sequence[tuple[Suspect, Timing, str]]) -> Iterable[tuple[Suspect, Timing, str]]:
    """Return of each deployment the last thing that came before the rise, else the first one after it."""
    by_deployment = sorted(timed, key=lambda each: (each[0].deployment.id, each[0].at))
    for _, group in groupby(by_deployment, key=lambda each: each[0].deployment.id):
        held = list(group)
        yield ([each for each in held if each[1] != "after"] or held[:1])[-1]


def _long_before(one: Suspect, rise: Rise, lag: timedelta) -> str:
    return (
        f"{one.version} was {one.how} {(rise.at - one.at).total_seconds():,.0f} s before that, longer than "
        f"lag={lag.total_seconds():g}s from the time in which it may have risen."
    )


def _by_chance(reach: timedelta, suspects: Sequence[Suspect], window: TimeRange) -> tuple[float, str]:
    """Return how much of the window lies as shortly after a deployment as the rise does, and a sentence."""
    covered, until = timedelta(), window.start
    for each in sorted(suspects, key=lambda one: one.at):
        start, end = max(each.at, until), min(each.at + reach, window.end)
        covered, until = covered + max(end - start, timedelta()), max(until, end)
    share = covered / window.duration
    return (
        share,
        f"By chance: {share:.0%} of the window lies within {reach.total_seconds():.0f} s after a deployment.",
    )


def _place(over_time: Intervals, at: datetime) -> int | None:
    """Return the place of the interval that holds a time; None where there is none."""
    at_us = round(at.timestamp() * 1_000_000)
    place = int(np.searchsorted(over_time.start_us, at_us, side="right")) - 1
    return place if place >= 0 and at_us < over_time.end_us[place] else None


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
