from __future__ import annotations

from datetime import timedelta
from math import exp, factorial

import pandas as pd
import pytest

from createos_nb import metrics, schema
from createos_nb.errors import FrameError, InvalidArgument
from createos_nb.metrics.comparison import counts, wilson_interval
from createos_nb.metrics.dora import poisson_interval
from tests.metrics.traffic import NOON

END = NOON + timedelta(days=10)


def day(number):
    return NOON + timedelta(days=number)


def deployed(*days, project="shop", status="deployed", commits=()):
    return schema.DEPLOYMENTS.frame(
        {
            "project": project,
            "deployment_id": f"{project}-{number}",
            "status": status,
            "created_at": day(number),
            "commit": commits[place] if place < len(commits) else None,
        }
        for place, number in enumerate(days)
    )


def incident(start, end, project="shop", **changes):
    row = {"start": day(start), "end": day(end), "start_seen": True, "end_seen": True, "ongoing": False}
    zeros = dict.fromkeys(("requests", "server_errors", "missing_s"), 0)
    return {"project": project, "environment": "production", **row, **zeros, **changes}


def rollback(at, state="done", kind="rollback", run="r1", project="shop"):
    return {
        "at": day(at),
        "run": run,
        "kind": kind,
        "project": project,
        "environment": "production",
        "state": state,
    }


def measured(deployments, **options):
    told = schema.DORA.check(metrics.dora(deployments, "10d", end=END, **options))
    return told.set_index("measure").to_dict("index")


def test_only_what_was_built_and_falls_into_the_window_counts():
    frames = [
        deployed(1, 2, 9),
        deployed(3, status="build_error"),
        deployed(-1, 10),
        deployed(4, status="sleeping"),
    ]
    told = measured(schema.DEPLOYMENTS.concat(frames))["deployment frequency"]
    assert (told["value"], told["n"], told["unit"]) == (0.4, 4, "deployments/day")
    assert (told["low"], told["high"]) == pytest.approx([end / 10 for end in poisson_interval(4)])
    assert "few" in told["reason"]
    assert "few" not in measured(deployed(*[n / 10 for n in range(50)]))["deployment frequency"]["reason"]


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (20, 12.217, 30.888)]
)
def test_the_interval_of_a_count_is_the_published_one(count, low, high):
    """The exact 95 % limits of a Poisson mean, as tables print them after Garwood (1936)."""
    assert poisson_interval(count) == pytest.approx((low, high), abs=1e-3)


def test_the_interval_of_a_count_holds_its_definition():
    low, high = poisson_interval(7)
    assert sum(exp(-high) * high**k / factorial(k) for k in range(8)) == pytest.approx(0.025)
    assert 1 - sum(exp(-low) * low**k / factorial(k) for k in range(7)) == pytest.approx(0.025)


def test_lead_time_is_null_without_commits_and_says_why():
    told = measured(deployed(1))["lead time"]
    assert pd.isna(told["value"])
    assert "pass commits=" in told["reason"]


def test_lead_time_is_the_median_from_commit_to_creation():
    frame = deployed(1, 2, 3, 4, commits=("A1", "b2", "c3"))
    commits = pd.DataFrame(
        {"commit": ["a1", "b2", "zz"], "committed_at": [day(0.75), day(1), day(0)]},
    )
    told = measured(frame, commits=commits)["lead time"]
    assert (told["value"], told["unit"], told["n"]) == (15, "h", 2)
    assert "2 of 4 deployments" in told["reason"]
    none = measured(frame, commits=commits.tail(1))["lead time"]
    assert pd.isna(none["value"])
    assert "None of 4" in none["reason"]


def test_failures_and_restoration_are_null_without_evidence_and_say_why():
    told = measured(deployed(1))
    for measure in ("change failure rate", "time to restore"):
        assert pd.isna(told[measure]["value"])
        assert "pass incidents= or journal=" in told[measure]["reason"]
        assert told[measure]["source"] == ""


def test_a_deployment_failed_when_an_incident_began_before_the_next_one():
    seen = schema.INCIDENTS.frame(
        [incident(0.5, 0.6), incident(2.5, 3.5), incident(2.7, 2.8), incident(9, 9.1, "other")]
    )
    told = measured(deployed(1, 2, 3, 4), incidents=seen)["change failure rate"]
    assert (told["value"], told["n"], told["source"]) == (0.25, 4, "the incidents")
    assert (told["low"], told["high"]) == pytest.approx(wilson_interval(counts(4, 1)))


def test_a_rollback_is_a_failure_of_the_deployment_before_it():
    journal = schema.JOURNAL.frame(
        [
            rollback(3.5),
            rollback(3.6),
            rollback(1.5, state="undone", run="r2"),
            rollback(2.5, kind="scale", run="r3"),
            rollback(1.5, run="r4", project="other"),
        ]
    )
    told = measured(deployed(1, 2, 3, 4), journal=journal)
    assert (told["change failure rate"]["value"], told["change failure rate"]["n"]) == (0.25, 4)
    assert (told["time to restore"]["value"], told["time to restore"]["n"]) == (pytest.approx(14.4), 1)
    assert "at most" in told["time to restore"]["reason"]
    assert told["time to restore"]["source"] == "the journal's rollbacks"


@pytest.mark.parametrize(("outcome", "failed"), [("ok", 0.25), ("failed", 0), (None, 0)])
def test_a_rollback_that_stayed_unverified_is_a_failure_that_nobody_knows_the_end_of(outcome, failed):
    switch = {"operation": "AssignDeploymentToProjectEnvironment", "outcome": outcome}
    journal = schema.JOURNAL.frame([rollback(3.5, state="outcome") | switch, rollback(3.6, state="unclear")])
    told = measured(deployed(1, 2, 3, 4), journal=journal)
    assert told["change failure rate"]["value"] == failed
    assert pd.isna(told["time to restore"]["value"])
    assert ("1 more ended unclear" in told["time to restore"]["reason"]) == (failed > 0)


def test_time_to_restore_is_the_median_of_incidents_seen_whole():
    seen = schema.INCIDENTS.frame(
        [
            incident(1, 1.25),
            incident(2, 2.5),
            incident(3, 4),
            incident(5, 9, ongoing=True),
            incident(6, 9, start_seen=False),
        ]
    )
    told = measured(deployed(1), incidents=seen)["time to restore"]
    assert (told["value"], told["unit"], told["n"]) == (12, "h", 3)
    assert "2 more were not seen" in told["reason"]


def test_nothing_seen_is_not_nothing_looked_at():
    told = measured(deployed(1, 2), incidents=schema.INCIDENTS.empty(), journal=schema.JOURNAL.empty())
    assert told["change failure rate"]["value"] == 0
    assert told["change failure rate"]["high"] > 0.6
    assert told["change failure rate"]["source"] == "the incidents and the journal's rollbacks"
    assert pd.isna(told["time to restore"]["value"])


def test_each_project_has_its_four_rows():
    told = metrics.dora(schema.DEPLOYMENTS.concat([deployed(1), deployed(1, 2, project="blog")]), "10d", end=END)
    assert told["project"].tolist() == ["shop"] * 4 + ["blog"] * 4
    assert told["n"].tolist()[::4] == [1, 2]


def test_what_was_not_all_listed_says_so():
    assert not metrics.dora(deployed(1).assign(complete=False), "10d", end=END)["complete"].any()


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"end": "2026-11-23T12:00"}, InvalidArgument, "no time zone"),
        ({"since": "soon"}, InvalidArgument, "length of time"),
        ({"commits": pd.DataFrame({"commit": ["a"]})}, FrameError, "committed_at"),
        ({"commits": {"a": NOON}}, FrameError, "committed_at.*not dict"),
        ({"incidents": schema.JOURNAL.empty()}, FrameError, "start"),
        ({"journal": schema.INCIDENTS.empty()}, FrameError, "kind"),
    ],
    ids=["naive", "length", "commits", "no frame", "incidents", "journal"],
)
def test_what_does_not_fit_is_refused_by_name(options, error, named):
    with pytest.raises(error, match=named):
        metrics.dora(deployed(1), **{"end": END, **options})
