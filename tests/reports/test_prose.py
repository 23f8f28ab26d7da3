from __future__ import annotations

from dataclasses import replace

import pytest

from createos_nb import schema
from createos_nb.reports import Gap, prose


def test_the_summary_says_impact_cause_action_and_present(evidence):
    told = prose.summary(evidence)
    assert told.startswith("**83 of 673 requests (12.3%)** to shop/production failed with a 5xx error")
    assert "between 12:04:00 and 12:09:00 UTC" in told
    assert "last deployment before the errors was v3" in told
    assert "does not prove it the cause" in told
    assert "the rollback by ada ended **done**: v2 is live and verified." in told.replace("\\", "")
    assert told.endswith("v2 is live now; none of the 67 requests since 12:09:00 failed.")


def test_the_summary_does_not_claim_an_end_that_was_not_seen(evidence):
    told = prose.summary(replace(evidence, over_time=evidence.over_time.iloc[:8]))
    assert told.endswith("v2 is live now; the last requests that were seen include failures.")


@pytest.mark.parametrize(
    ("requests", "errors", "expected"),
    [
        (0, 0, "No request reached shop/production"),
        (10, 0, "None of the 10 requests to shop/production in this window failed."),
    ],
    ids=["silence", "health"],
)
def test_silence_and_health_are_told_apart(evidence, requests, errors, expected):
    overall = evidence.overall.assign(requests=requests, server_errors=errors)
    quiet = replace(evidence, overall=overall, over_time=schema.REQUESTS_OVER_TIME.empty())
    assert expected in prose.summary(quiet)


def test_missing_figures_are_said_to_be_missing(evidence):
    blank = replace(evidence, overall=schema.OVERALL_REQUESTS.empty(), over_time=schema.REQUESTS_OVER_TIME.empty())
    assert "gave no traffic figures" in prose.summary(blank)


def test_a_gap_is_named_with_its_reason_and_becomes_a_follow_up(evidence):
    gone = replace(evidence, gaps=(Gap("the runtime log", "GET /logs: the platform failed."),))
    assert "**Missing: the runtime log.**" in prose.gaps(gone)
    assert "the platform failed" in prose.gaps(gone)
    assert "the runtime log" in prose.follow_ups(gone)


def test_pinned_promotion_is_a_follow_up_and_automatic_promotion_is_not(evidence):
    assert "automatic promotion of shop/production" in prose.follow_ups(evidence)
    automatic = replace(evidence, live=evidence.live.assign(auto_promote=True))
    assert "automatic promotion" not in prose.follow_ups(automatic)


def test_no_change_is_said_to_be_none(evidence):
    assert prose.changes(replace(evidence, journal=schema.JOURNAL.empty())).startswith(
        "No change of shop/production"
    )
    assert prose.changes(evidence).startswith("One change of shop/production")
