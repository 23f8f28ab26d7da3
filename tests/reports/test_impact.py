from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from createos_nb import schema
from createos_nb.reports.impact import Impact, impact
from createos_nb.schema.samples import NOON


def test_the_figures_are_those_of_the_traffic(evidence):
    hurt = impact(evidence)
    assert (hurt.requests, hurt.errors) == (673, 83)
    assert hurt.error_rate == 83 / 673
    assert hurt.began_at == NOON + timedelta(minutes=4)
    assert hurt.ended_at == NOON + timedelta(minutes=9)
    assert hurt.worst_at == NOON + timedelta(minutes=5)
    assert hurt.worst_rate == 22 / 70
    assert hurt.duration == timedelta(minutes=5)


def test_an_incident_is_over_only_when_requests_came_after_it_and_none_failed(evidence):
    assert impact(evidence).is_over
    still_failing = replace(evidence, over_time=evidence.over_time.iloc[:8])
    assert not impact(still_failing).is_over
    silence = evidence.over_time.iloc[8:9].assign(timestamp=NOON + timedelta(minutes=9), requests=0, status_5xx=0)
    over_time = schema.REQUESTS_OVER_TIME.concat([evidence.over_time.iloc[:8], silence])
    assert not impact(replace(evidence, over_time=over_time)).is_over, "no traffic is no proof of health"


def test_no_traffic_is_no_error_rate(evidence):
    quiet = replace(
        evidence,
        overall=evidence.overall.assign(requests=0, server_errors=0),
        over_time=schema.REQUESTS_OVER_TIME.empty(),
    )
    assert impact(quiet) == Impact(requests=0, errors=0)


def test_a_platform_that_did_not_answer_is_not_zero_requests(evidence):
    unanswered = replace(
        evidence, overall=schema.OVERALL_REQUESTS.empty(), over_time=schema.REQUESTS_OVER_TIME.empty()
    )
    assert impact(unanswered) == Impact()


def test_a_log_that_names_statuses_makes_the_times_exact(evidence):
    statuses = evidence.logs.assign(status=500)
    later = statuses.assign(timestamp=statuses["timestamp"] + timedelta(minutes=4, seconds=20))
    logs = schema.LOGS.concat([statuses.astype({"status": "Int64"}), later.astype({"status": "Int64"})])
    hurt = impact(replace(evidence, logs=logs))
    assert hurt.exact
    assert hurt.began_at == NOON + timedelta(minutes=4)
    assert hurt.ended_at == NOON + timedelta(minutes=8, seconds=49)
    assert hurt.good_since == NOON + timedelta(minutes=9)


def test_a_log_that_misses_the_last_failures_does_not_end_the_incident_early(evidence):
    logs = evidence.logs.assign(status=500).astype({"status": "Int64"})
    hurt = impact(replace(evidence, logs=logs))
    assert not hurt.exact
    assert hurt.ended_at == NOON + timedelta(minutes=9)
