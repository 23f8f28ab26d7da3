"""Suspects: a cause comes before what it causes, and an answer after what it answers."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from createos_nb import metrics
from createos_nb.api.deployments import Deployment
from createos_nb.metrics.comparison import Counts
from createos_nb.metrics.intervals import intervals
from createos_nb.suspects import Suspect, judge, rises
from createos_nb.timerange import TimeRange
from tests.metrics.traffic import NOON, minute, traffic

LAG = timedelta(minutes=5)


def suspect(version, at, how="created"):
    deployment = Deployment(
        id=f"d{version}", project_id="p", status="deployed", version_number=version, created_at=at
    )
    return Suspect(deployment, at, how)


def second(number):
    return NOON + timedelta(seconds=number)


class Seconds:
    """Requests and errors of every second, which the platform counts by the minute, and for any time within one."""

    def __init__(self, requests, errors):
        self.requests, self.errors = np.asarray(requests), np.asarray(errors)

    def over_time(self):
        return traffic(self.requests.reshape(-1, 60).sum(axis=1), self.errors.reshape(-1, 60).sum(axis=1))

    def count(self, start, end):
        chosen = slice(int((start - NOON).total_seconds()), int((end - NOON).total_seconds()))
        return Counts(int(self.requests[chosen].sum()), int(self.errors[chosen].sum()))

    def first_failure(self, since):
        return int(np.flatnonzero(self.errors[since:])[0]) + since

    def judged(self, *suspects, place=0, lag=LAG):
        over_time = self.over_time()
        (each,) = intervals(over_time)
        rise = [rise for run in rises(metrics.change_points(over_time), each, lag) for rise in run][place]
        return judge(rise, suspects, each, TimeRange(NOON, second(len(self.requests))), lag, self.count)


def steady(*rates, per_second=2):
    """Minutes of requests, of which a share fails, as evenly as can be."""
    requests = np.full(60 * len(rates), per_second)
    due = np.cumsum(np.repeat(rates, 60) * per_second)
    return Seconds(requests, np.diff(np.floor(due + 1e-9), prepend=0).astype(int))


def drawn(chance, rpm, before, after, *, minutes=80, at_s=3600):
    requests = chance.poisson(rpm / 60, 60 * minutes)
    rates = np.where(np.arange(60 * minutes) < at_s, before, after)
    return Seconds(requests, chance.binomial(requests, rates))


@pytest.mark.parametrize(("rpm", "before", "wrong"), [(6, 0.02, 0.07), (100, 0.0, 0)], ids=["quiet", "busy"])
def test_a_hotfix_made_after_the_first_failures_is_not_likely(rpm, before, wrong):
    """On call sees requests fail and deploys at once, or a while later: not the deployment's doing.

    With six requests a minute, of which some always fail, it can look as if nothing had happened before.
    """
    chance = np.random.default_rng(3)
    judged = []
    for delay in (30, 60, 120) * 5:
        begins = 3600 + int(chance.integers(60))
        seconds = drawn(chance, rpm, before, 0.25, at_s=begins)
        seen = seconds.first_failure(begins)
        judged.append(seconds.judged(suspect(9, second(max(begins + delay, seen + 1) + 0.5))))
    assert sum(each.suspect is not None for each in judged) <= wrong * len(judged), judged
    assert sum("v9 was created after the rise began" in each.reason for each in judged) > len(judged) / 2


@pytest.mark.parametrize(("within_minute_s", "timing"), [(-40, "shortly before"), (8, "within that interval")])
def test_a_deployment_before_the_first_failures_is_likely(within_minute_s, timing):
    chance = np.random.default_rng(3)
    for _ in range(8):
        seconds = drawn(chance, 100, 0.0, 0.25, at_s=3600 + max(0, within_minute_s + 2))
        judgement = seconds.judged(suspect(3, second(3600 + within_minute_s)))
        assert judgement.suspect.version == "v3"
        assert timing in judgement.reason, judgement.reason


def test_what_is_said_about_one_within_the_interval_is_counted_to_the_second():
    seconds = steady(*[0.0] * 60, *[0.5] * 60)
    seconds.errors[3600:3610] = 0
    judgement = seconds.judged(suspect(3, second(3608.7)))
    assert (
        "9 s into the first interval with the higher share; of that interval's 16 requests" in judgement.evidence[0]
    )
    assert "before it, 0 failed" in judgement.evidence[0]
    judgement = seconds.judged(suspect(9, second(3650.2)))
    assert judgement.suspect is None
    assert (
        "after the rise may have begun: of that interval's 100 requests before it, 40 failed"
        in judgement.evidence[0]
    )


def test_the_rise_that_a_deployment_came_before_is_the_one_it_is_likely_behind():
    seconds = steady(*[0.0] * 40, *[0.1] * 40, *[0.6] * 40)
    v2 = suspect(2, minute(39.5))
    assert seconds.judged(v2, place=0).suspect == v2
    later = seconds.judged(v2, place=1)
    assert (later.suspect, "no deployment was created" in later.reason) == (None, True)
    assert "v2 was created 2,430 s before that, longer than lag=300s" in later.evidence[0]


def test_clean_minutes_between_are_told_and_blame_nobody():
    seconds = steady(*[0.0] * 60, *[0.25] * 60)
    judgement = seconds.judged(suspect(2, minute(46)))
    assert judgement.suspect is None
    assert "v2 was created 840 s before" in judgement.evidence[0]


def test_one_of_many_deployments_may_be_there_by_chance():
    seconds = steady(*[0.0] * 60, *[0.25] * 60)
    often = [suspect(place, minute(57 - 6 * place)) for place in range(9)]
    judgement = seconds.judged(*often)
    assert judgement.suspect is None
    assert "may be chance: 30% of the window" in judgement.reason
    assert seconds.judged(often[0]).suspect == often[0]


def test_of_one_deployment_the_last_thing_before_the_rise_counts():
    seconds = steady(*[0.0] * 60, *[0.25] * 60)
    created, assigned, again = (
        suspect(1, minute(at), how) for at, how in ((56, "created"), (59.5, "put live"), (62, "put live"))
    )
    judgement = seconds.judged(created, assigned, again)
    assert judgement.suspect == assigned
    assert "it was put live shortly before" in judgement.reason
