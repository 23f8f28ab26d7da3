from __future__ import annotations

import ast
from dataclasses import replace

import nbformat
import pandas as pd
import pytest

from createos_nb import charts, reports, schema
from createos_nb.reports import Note, Pin, to_html, to_notebook
from createos_nb.schema.samples import NOON

NASTY = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) "
    "`a` *b* | \x1b[2J \u202e"
)


def test_equal_evidence_makes_an_equal_notebook(evidence):
    assert nbformat.writes(to_notebook(evidence)) == nbformat.writes(to_notebook(evidence))


def test_the_report_reads_from_top_to_bottom(evidence):
    ids = [cell.id for cell in to_notebook(evidence).cells]
    assert ids == [
        *("title", "facts", "summary", "impact", "figures", "requests-chart", "error-rate-chart"),
        *("what-was-done", "actions", "what-happened", "timeline", "where", "error-paths"),
        *("log", "errors-logged", "log-excerpt", "now", "live", "factors", "follow-ups", "gaps"),
    ]


def test_it_is_a_valid_notebook_whose_every_code_cell_has_its_output_stored(evidence):
    notebook = to_notebook(evidence)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            (output,) = cell.outputs
            assert output.data["text/plain"], cell.id
            assert cell.metadata.jupyter.source_hidden


def test_charts_are_stored_as_a_picture_and_as_a_specification(evidence):
    cells = {cell.id: cell for cell in to_notebook(evidence).cells}
    for name in ("requests-chart", "error-rate-chart"):
        assert {"image/png", "application/vnd.vegalite.v5+json"} <= cells[name].outputs[0].data.keys()


def test_each_line_of_code_calls_what_made_the_output(evidence):
    for cell in to_notebook(evidence).cells:
        if cell.cell_type == "code":
            call = ast.parse(cell.source).body[-1].value
            assert ast.unparse(call.func) == f"reports.{cell.id.replace('-', '_')}"
            assert callable(getattr(reports, call.func.attr))


def test_names_and_notes_cannot_break_out_of_the_code(evidence):
    hostile = replace(evidence, title="'); import os; os.abort() #", notes=(Note(NOON, 'it\'s """quoted"""\nx'),))
    setup = ast.parse({cell.id: cell for cell in to_notebook(hostile).cells}["facts"].source)
    assert not any(isinstance(node, ast.Import) for node in ast.walk(setup))
    literals = [node.value for node in ast.walk(setup) if isinstance(node, ast.Constant)]
    assert hostile.title in literals
    assert hostile.notes[0].text in literals


def test_without_traffic_figures_there_are_no_empty_charts(evidence):
    blank = replace(evidence, over_time=schema.REQUESTS_OVER_TIME.empty(), journal=schema.JOURNAL.empty())
    ids = {cell.id for cell in to_notebook(blank).cells}
    assert not {"requests-chart", "error-rate-chart", "actions"} & ids


def test_pins_survive_running_the_notebook_again(evidence):
    frame = pd.DataFrame({"a<b": [1, 2]})
    chart = charts.requests_over_time(evidence.over_time)
    pinned = replace(evidence, pins=(Pin(NOON, "two rows", frame), Pin(NOON, "the chart", chart)))
    cells = {cell.id: cell for cell in to_notebook(pinned).cells}
    assert cells["pin-1"].cell_type == cells["pin-2"].cell_type == "markdown"
    assert "a&lt;b" in cells["pin-1"].source
    assert cells["pin-2"].attachments["chart.png"]["image/png"].startswith("iVBOR")
    assert to_html(to_notebook(pinned), title="x").count('src="data:image/png;base64,') == 3


@pytest.mark.parametrize("field", ["title", "identifier", "platform", "collected_by"])
def test_names_are_text_wherever_they_are_shown(evidence, field):
    page = to_html(to_notebook(replace(evidence, **{field: NASTY})), title=NASTY, show_code=False)
    _assert_harmless(page)


def test_what_applications_and_people_wrote_is_text_wherever_it_is_shown(evidence):
    hostile = replace(
        evidence,
        logs=evidence.logs.assign(message=NASTY, trace=NASTY),
        error_paths=evidence.error_paths.assign(path=NASTY),
        deployments=evidence.deployments.assign(version=NASTY, message=NASTY),
        journal=evidence.journal.assign(detail=NASTY, step=NASTY, user=NASTY, kind=NASTY),
        live=evidence.live.assign(endpoint=NASTY),
        notes=(Note(NOON, NASTY),),
    )
    page = to_html(to_notebook(hostile), title="x", show_code=False)
    _assert_harmless(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\\x1b[2J" in page


def _assert_harmless(page: str) -> None:
    lowered = page.lower()
    assert "<script" not in lowered
    assert "<img src=x" not in lowered
    assert 'href="javascript' not in lowered
    assert "\x1b" not in page
    assert "\u202e" not in page
