from __future__ import annotations

from dataclasses import replace

from createos_nb.reports import Note
from createos_nb.reports.timeline import timeline
from createos_nb.schema.samples import NOON


def test_everything_is_in_one_order_of_time(evidence):
    moments = timeline(evidence)
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    assert [moment.what for moment in moments] == [
        "deployment", "errors", "errors", "note", "rollback", "rollback", "rollback", "rollback", "errors",
    ]  # fmt: skip


def test_deployments_outside_the_window_are_left_out(evidence):
    told = [moment.detail for moment in timeline(evidence) if moment.what == "deployment"]
    assert told == ["v3 created, deployed"]


def test_a_change_is_told_by_whom_why_and_how_it_ended(evidence):
    told = [(moment.detail, moment.who) for moment in timeline(evidence) if moment.what == "rollback"]
    assert told[0] == ("begun: checkout fails", "ada")
    assert ("put v2 live: ok", "ada") in told
    assert told[-1] == ("ended done. v2 is live and verified", "ada")


def test_errors_that_go_on_have_no_end_in_the_timeline(evidence):
    going_on = replace(evidence, over_time=evidence.over_time.iloc[:8])
    told = [moment.detail for moment in timeline(going_on) if moment.what == "errors"]
    assert not any("last" in detail for detail in told)


def test_notes_stand_at_the_time_they_are_about(evidence):
    noted = replace(evidence, notes=(Note(NOON, "first"),))
    assert timeline(noted)[0].detail == "first"
