"""DORA: the four measures of software delivery, as far as CreateOS knows what they need.

Sources: N. Forsgren, J. Humble, G. Kim, "Accelerate" (2018), ch. 2, and dora.dev, "DORA's software delivery
metrics", for the measures; F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936),
for the interval of a count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from statistics import median

import numpy as np
import pandas as pd

from createos_nb.metrics.comparison import Counts, wilson_interval
from createos_nb.metrics.intervals import with_complete
from createos_nb.schema import COMMITS, DEPLOYMENTS, DORA, INCIDENTS, JOURNAL, Row
from createos_nb.timerange import Moment, TimeRange

SERVED = ("deployed", "sleeping", "crashing", "terminating")
"""States of a deployment that was built and put where it can serve."""

FEW = 10
"""With fewer deployments or incidents than this, a measure says that it rests on few."""

NEEDED: Mapping[str, tuple[str, ...]] = {"dora": ("project", "status", "created_at", "commit")}
"""Columns of `schema.DEPLOYMENTS`."""

_SWITCH = "AssignDeploymentToProjectEnvironment"
_DAY_S = 86_400
_HOUR_S = 3600
_TAIL = 0.025


@dataclass(frozen=True)
class _Deployment:
    created_at: datetime
    commit: str | None


@dataclass(frozen=True)
class _Failure:
    """An incident or a rollback: when it began or was carried out, and when service was restored."""

    at: datetime
    restored_at: datetime | None


@dataclass(frozen=True)
class _Evidence:
    """What is known of the failures of a project; None when nobody looked."""

    incidents: list[_Failure] | None
    rollbacks: list[_Failure] | None

    @property
    def source(self) -> str:
        looked = {"the incidents": self.incidents, "the journal's rollbacks": self.rollbacks}
        return " and ".join(name for name, found in looked.items() if found is not None)


def dora(
    deployments: pd.DataFrame,
    since: str | timedelta | None = None,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    commits: pd.DataFrame | None = None,
    incidents: pd.DataFrame | None = None,
    journal: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return deployment frequency, lead time, change failure rate and time to restore of each project.

    Parameters
    ----------
    deployments
        All deployments of the projects; needs ``project``, ``status``, ``created_at`` and ``commit``. See
        `schema.DEPLOYMENTS`.
    since
        Length of the window up to ``end`` (or now), such as ``"90d"``; default 30 days.
    start, end
        The window, half open; aware datetimes, ISO text or unix seconds.
    commits
        ``commit`` (hash) and ``committed_at`` (aware time) of each commit, from git. See `schema.COMMITS`.
    incidents
        From `createos_nb.metrics.incidents`, over the same window, of the environments that count.
    journal
        From ``ws.journal()``: rollbacks that were carried out from this machine.

    Returns
    -------
    DataFrame, four rows per project (`schema.DORA`)
        ``deployment frequency`` (deployments/day), ``lead time`` (h, median), ``change failure rate``
        (share) and ``time to restore`` (h, median). ``value`` is missing, and ``reason`` says why, where what
        it takes was not passed or there is nothing to count.

    Raises
    ------
    InvalidArgument
        The window is empty or a time has no zone.
    FrameError
        A needed column is missing or of another kind.

    Notes
    -----
    Deployment frequency counts deployments that were built and can serve; its interval is Garwood's (1936),
    exact for a Poisson count. A deployment's time is ``created_at``, which is before it takes traffic; the
    platform keeps no record of that switch, nor of the environment it was for. Lead time is from the commit a
    deployment was built from to ``created_at``; commits between two deployments are not known here, so it is
    shorter than DORA's. A deployment failed when an incident began or a rollback was done after it and before
    the next one, also a rollback that stayed though it could not be verified; the interval is Wilson's (1927).
    Time to restore is that of incidents seen to begin and to end, or, without ``incidents``, from a deployment
    to the end of the rollback that replaced it, which is at least as long.

    Examples
    --------
    >>> from createos_nb import metrics, schema
    >>> seen = metrics.incidents(schema.sample("REQUESTS_OVER_TIME"), quiet="2m")
    >>> told = dora(schema.sample("DEPLOYMENTS"), "1d", end="2026-11-23T13:00Z", incidents=seen)
    >>> told[["measure", "value", "unit", "n"]].round(3)
                    measure  value             unit  n
    0  deployment frequency  3.000  deployments/day  3
    1             lead time    NaN                h  0
    2   change failure rate  0.333            share  3
    3       time to restore  0.067                h  1
    """
    window = TimeRange.of(since, start=start, end=end, default="30d")
    taken = DEPLOYMENTS.take(deployments, with_complete(deployments, NEEDED["dora"]), may_miss=("commit",))
    times = None if commits is None else _commits(commits)
    of_incidents = None if incidents is None else _incidents(incidents, window)
    of_rollbacks = None if journal is None else _rollbacks(journal, window)
    rows: list[Row] = []
    for project, its in taken.groupby("project", sort=False):
        evidence = _Evidence(_of(of_incidents, str(project)), _of(of_rollbacks, str(project)))
        complete = bool(its["complete"].all()) if "complete" in its else True
        built = its[its["status"].astype(str).isin(SERVED)].sort_values("created_at")
        held = [
            _Deployment(row["created_at"], None if pd.isna(row["commit"]) else row["commit"])
            for row in built.to_dict("records")
            if window.start <= row["created_at"] < window.end
        ]
        names: Row = {"project": project, "start": window.start, "end": window.end, "complete": complete}
        rows += [{**names, **row} for row in _measures(held, window, times, evidence)]
    return DORA.frame(rows)


def _measures(
    held: list[_Deployment], window: TimeRange, commits: Mapping[str, datetime] | None, evidence: _Evidence
) -> Iterator[Row]:
    yield _frequency(held, window)
    yield _lead_time(held, commits)
    yield _change_failure_rate(held, evidence)
    yield _time_to_restore(held, evidence)


def _frequency(held: list[_Deployment], window: TimeRange) -> Row:
    days = window.duration.total_seconds() / _DAY_S
    low, high = poisson_interval(len(held))
    return {
        "measure": "deployment frequency",
        "value": len(held) / days,
        "unit": "deployments/day",
        "low": low / days,
        "high": high / days,
        "n": len(held),
        "source": "created_at of deployments that were built",
        "reason": f"{len(held)} deployments in {days:.3g} days.{_few(len(held))}",
    }


def _lead_time(held: list[_Deployment], commits: Mapping[str, datetime] | None) -> Row:
    row: Row = {"measure": "lead time", "unit": "h", "n": 0, "source": "commits and created_at of deployments"}
    if commits is None:
        return {**row, "reason": "The platform does not know when a commit was made: pass commits=."}
    waited = [
        (each.created_at - commits[each.commit.lower()]).total_seconds() / _HOUR_S
        for each in held
        if each.commit is not None and each.commit.lower() in commits
    ]
    if not waited:
        return {**row, "reason": f"None of {len(held)} deployments names a commit that is in commits."}
    found = f"{len(waited)} of {len(held)} deployments name a commit that is in commits."
    return {**row, "value": median(waited), "n": len(waited), "reason": f"{found}{_few(len(waited))}"}


def _change_failure_rate(held: list[_Deployment], evidence: _Evidence) -> Row:
    row: Row = {"measure": "change failure rate", "unit": "share", "n": len(held), "source": evidence.source}
    if not evidence.source:
        return {**row, "n": 0, "reason": "Nothing says which deployments failed: pass incidents= or journal=."}
    if not held:
        return {**row, "reason": "There were no deployments in the window."}
    failures = [*(evidence.incidents or []), *(evidence.rollbacks or [])]
    ends = [each.created_at for each in held[1:]]
    failed = sum(
        any(each.created_at <= failure.at and (end is None or failure.at < end) for failure in failures)
        for each, end in zip(held, [*ends, None], strict=True)
    )
    low, high = wilson_interval(Counts(len(held), failed))
    reason = f"{failed} of {len(held)} deployments were followed by {evidence.source.replace(' and ', ' or ')}."
    return {**row, "value": failed / len(held), "low": low, "high": high, "reason": f"{reason}{_few(len(held))}"}


def _time_to_restore(held: list[_Deployment], evidence: _Evidence) -> Row:
    row: Row = {"measure": "time to restore", "unit": "h", "n": 0, "source": evidence.source}
    if evidence.incidents is not None:
        ended = [(each.at, each.restored_at) for each in evidence.incidents if each.restored_at is not None]
        left_out = len(evidence.incidents) - len(ended)
        row["source"] = "the incidents"
        more = f" {left_out} more were not seen from their beginning to their end." if left_out else ""
        what = "incidents seen to begin and to end."
    elif evidence.rollbacks is not None:
        ended = [
            (before[-1], failure.restored_at)
            for failure in evidence.rollbacks
            if failure.restored_at is not None
            and (before := [each.created_at for each in held if each.created_at <= failure.at])
        ]
        unclear = sum(failure.restored_at is None for failure in evidence.rollbacks)
        more = f" {unclear} more ended unclear." if unclear else ""
        what = "rollbacks done (each from the deployment before it, so at most)."
    else:
        return {**row, "reason": "Nothing says when service was restored: pass incidents= or journal=."}
    if not ended:
        return {**row, "reason": f"There were no {what}{more}"}
    took = [(until - since).total_seconds() / _HOUR_S for since, until in ended]
    return {**row, "value": median(took), "n": len(took), "reason": f"{len(took)} {what}{more}{_few(len(took))}"}


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a mean of which a count was seen.

    Parameters
    ----------
    count
        What was seen, 0 or more.

    Notes
    -----
    Source: Garwood (1936). Each end is where so many or fewer, or so many or more, come in 2.5 % of cases.

    Examples
    --------
    >>> [round(end, 3) for end in poisson_interval(10)]
    [4.795, 18.39]
    """
    counts = np.arange(count + 1, dtype=float)
    log_factorials = np.cumsum(np.log(np.maximum(counts, 1)))

    def fewer(mean: float) -> float:
        """Return the chance of fewer than were seen."""
        return float(np.exp(counts * log(mean) - mean - log_factorials)[:-1].sum())

    def at_most(mean: float) -> float:
        return fewer(mean) + exp(count * log(mean) - mean - float(log_factorials[-1]))

    low = _root(lambda mean: 1 - fewer(mean) - _TAIL, count) if count else 0.0
    return low, _root(lambda mean: _TAIL - at_most(mean), count)


def _root(rising: Callable[[float], float], count: int) -> float:
    low, high = 1e-9, 2.0 * count + 20
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _few(n: int) -> str:
    return f" That is few: take it for no more than {n} cases." if n < FEW else ""


def _of(found: Mapping[str, list[_Failure]] | None, project: str) -> list[_Failure] | None:
    return None if found is None else found.get(project, [])


def _commits(frame: pd.DataFrame) -> dict[str, datetime]:
    taken = COMMITS.take(frame, ("commit", "committed_at"))
    return dict(zip(taken["commit"].str.lower(), taken["committed_at"], strict=True))


def _incidents(frame: pd.DataFrame, window: TimeRange) -> dict[str, list[_Failure]]:
    taken = INCIDENTS.take(frame, ("project", "start", "end", "start_seen", "end_seen", "ongoing"))
    found: dict[str, list[_Failure]] = {}
    for row in taken.to_dict("records"):
        if window.start <= row["start"] < window.end:
            whole = row["start_seen"] and row["end_seen"] and not row["ongoing"]
            found.setdefault(row["project"], []).append(_Failure(row["start"], row["end"] if whole else None))
    return found


def _rollbacks(frame: pd.DataFrame, window: TimeRange) -> dict[str, list[_Failure]]:
    names = ["project", "kind", "state", "at", "run", "outcome"]
    names += ["operation"] if "operation" in getattr(frame, "columns", ()) else []
    taken = JOURNAL.take(frame, names, may_miss=[name for name in names if name != "at"])
    taken = taken if "operation" in taken else taken.assign(operation=None)
    of_rollbacks = taken[taken["kind"] == "rollback"].dropna(subset=["project"])
    # One that ended unclear has put the older deployment live too, only unverified, when the platform took it.
    switched = of_rollbacks[(of_rollbacks["operation"] == _SWITCH) & (of_rollbacks["outcome"] == "ok")]["run"]
    stayed = (of_rollbacks["state"] == "unclear") & of_rollbacks["run"].isin(switched)
    found: dict[str, list[_Failure]] = {}
    ends = of_rollbacks[(of_rollbacks["state"] == "done") | stayed]
    for row in ends.drop_duplicates("run", keep="last").to_dict("records"):
        if window.start <= row["at"] < window.end:
            restored_at = row["at"] if row["state"] == "done" else None
            found.setdefault(row["project"], []).append(_Failure(row["at"], restored_at))
    return found
