from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from createos_nb import schema
from createos_nb.reports import sections
from createos_nb.timerange import TimeRange


def test_figures_are_dashes_where_there_was_nothing_to_count(evidence):
    blank = replace(evidence, overall=schema.OVERALL_REQUESTS.empty(), over_time=schema.REQUESTS_OVER_TIME.empty())
    assert {figure for figure, _what in sections.figures(blank).values} == {"–"}  # noqa: RUF001


def test_lines_that_differ_in_numbers_only_are_one_kind_of_error(evidence):
    table = sections.errors_logged(evidence)
    (row,) = table.rows
    assert row[0] == "30"
    assert row[1] == "12:04:00 to 12:04:29"
    assert row[2] == "order 29 failed: AttributeError: 'NoneType' object has no attribute 'code'"


def test_the_log_table_says_how_many_kinds_it_leaves_out(evidence):
    logs = evidence.logs.assign(message=[chr(97 + number % 26) * 3 for number in range(len(evidence.logs))])
    table = sections.errors_logged(replace(evidence, logs=logs), most=10)
    assert len(table.rows) == 10
    assert table.note == "16 more kinds of error are not shown."


def test_a_long_traceback_is_cut_in_the_middle_with_a_count(evidence):
    long = "\n".join(f"line {number}" for number in range(100))
    excerpt = sections.log_excerpt(replace(evidence, logs=evidence.logs.assign(trace=long))).text.splitlines()
    assert len(excerpt) == 42
    assert "… 61 lines left out …" in excerpt
    assert excerpt[-1] == "line 99"


def test_a_log_without_errors_says_so(evidence):
    quiet = replace(evidence, logs=schema.LOGS.empty())
    assert sections.errors_logged(quiet).note == "The log shows no error."
    assert sections.log_excerpt(quiet).text == "(the log shows no error)"


def test_actions_leave_out_intents_and_name_the_end(evidence):
    assert [row[3:5] for row in sections.actions(evidence).rows] == [
        ("pin", "ok"),
        ("put v2 live", "ok"),
        ("end", "done"),
    ]


def test_what_is_live_names_version_pin_and_resources(evidence):
    facts = dict(sections.live(evidence).values)
    assert facts["Deployment"].startswith("v2, created 23 November 2026, 11:45:00 UTC")
    assert facts["Auto-promote"].startswith("off")
    assert facts["Resources"] == "2 replicas, 300 millicores and 512 MB each"


def test_an_environment_that_did_not_answer_is_said_to_be_unknown(evidence):
    facts = sections.live(replace(evidence, live=schema.ENVIRONMENTS.empty())).values
    assert facts == [("Environment", "shop/production: the platform did not say")]


def test_times_carry_their_date_when_the_window_crosses_midnight(evidence):
    window = TimeRange(evidence.window.start - timedelta(days=1), evidence.window.end)
    assert evidence.clock(evidence.window.start) == "12:00:00"
    assert replace(evidence, window=window).clock(evidence.window.start) == "23 Nov 12:00:00"


def test_charts_mark_only_deployments_of_the_window(evidence):
    text = str(sections.requests_chart(evidence).to_dict()["datasets"])
    assert "v3" in text
    assert "v1" not in text


def test_a_long_timeline_keeps_its_end_and_says_what_it_leaves_out(evidence):
    notes = tuple(replace(evidence.notes[0], text=f"note {number}") for number in range(150))
    table = sections.timeline(replace(evidence, notes=notes))
    assert len(table.rows) == 100
    assert table.note == "58 earlier lines are not shown."
    assert table.rows[-1][2] == "the last interval with failed requests ends"
