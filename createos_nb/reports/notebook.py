"""Notebook: evidence to a report that reads without a kernel, and can be run again by whoever has access.

Each figure is the stored output of the line of code above it, which is folded away. The line is what made
the output, so it makes it again against the platform; nothing has to be run to read.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import nbformat
import pandas as pd
from nbformat import NotebookNode, v4

from createos_nb.charts.renderer import createos_renderer, to_png
from createos_nb.markup import frame_table, markdown
from createos_nb.reports import prose, sections
from createos_nb.reports.display import Excerpt, Facts, Figures, Table

if TYPE_CHECKING:
    import altair as alt

    from createos_nb.reports.evidence import Evidence

    Shown = Table | Facts | Figures | Excerpt | alt.TopLevelMixin


def to_notebook(evidence: Evidence) -> NotebookNode:
    """Return the report of an incident as a notebook with its outputs stored.

    Equal evidence gives an equal notebook: cell ids are fixed and nothing is read from a clock.
    """
    notebook: NotebookNode = v4.new_notebook(cells=list(_cells(evidence)))
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["title"] = f"{evidence.identifier}: {evidence.title}"
    nbformat.validate(notebook)
    return notebook


def _cells(evidence: Evidence) -> Iterator[NotebookNode]:
    heading = f"# {markdown(evidence.title)}"
    yield _text("title", f"**Incident report {markdown(evidence.identifier)}**\n\n{heading}")
    yield _code("facts", f"{_setup(evidence)}\nreports.facts(evidence)", sections.facts(evidence))
    yield _text("summary", prose.summary(evidence))
    yield _text("impact", "## Impact")
    yield _call("figures", sections.figures(evidence))
    if len(evidence.over_time):
        yield _call("requests_chart", sections.requests_chart(evidence))
        yield _call("error_rate_chart", sections.error_rate_chart(evidence))
    yield _text("what-was-done", f"## What was done\n\n{prose.changes(evidence)}")
    if len(evidence.journal):
        yield _call("actions", sections.actions(evidence))
    yield _text("what-happened", "## Timeline\n\nOldest first, all times UTC.")
    yield _call("timeline", sections.timeline(evidence))
    yield _text("where", "## Where it failed\n\nPaths by the number of requests answered with an error.")
    yield _call("error_paths", sections.error_paths(evidence))
    yield _text(
        "log", "### In the log\n\nErrors that the application logged, and the newest of them as it was written."
    )
    yield _call("errors_logged", sections.errors_logged(evidence))
    yield _call("log_excerpt", sections.log_excerpt(evidence))
    yield from _pins(evidence)
    yield _text("now", "## What is live now")
    yield _call("live", sections.live(evidence))
    yield _text(
        "factors", "## Contributing factors\n\n*To be filled in: what made this possible, and what made it worse.*"
    )
    yield _text("follow-ups", f"## Follow-ups\n\n{prose.follow_ups(evidence)}")
    yield _text("gaps", f"## Gaps, and how to read this\n\n{prose.gaps(evidence)}")


def _setup(evidence: Evidence) -> str:
    window = f"start={evidence.window.start.isoformat()!r}, end={evidence.window.end.isoformat()!r}"
    lines = [
        "from createos_nb import connect, incident, reports",
        f"selection = connect()[{evidence.name!r}]",
        f"it = incident({evidence.identifier!r}, selection, {window}, title={evidence.title!r})",
        *(f"it.note({note.text!r}, at={note.at.isoformat()!r})" for note in evidence.notes),
        "evidence = it.collect()",
    ]
    return "\n".join(lines)


def _pins(evidence: Evidence) -> Iterator[NotebookNode]:
    if evidence.pins:
        yield _text("pinned", "## Evidence that people pinned")
    for number, pin in enumerate(evidence.pins, 1):
        why = f"### {markdown(pin.why)}\n\nPinned at {evidence.clock(pin.at)} UTC."
        # Text, not output: running the notebook again would lose what only existed then.
        if isinstance(pin.shown, pd.DataFrame):
            yield _text(f"pin-{number}", f"{why}\n\n{frame_table(pin.shown)}")
        else:
            picture = base64.b64encode(to_png(pin.shown)).decode()
            attached = {"chart.png": {"image/png": picture}}
            yield _text(f"pin-{number}", f"{why}\n\n![{markdown(pin.why)}](attachment:chart.png)", attached)


def _text(name: str, source: str, attachments: dict[str, Any] | None = None) -> NotebookNode:
    cell: NotebookNode = v4.new_markdown_cell(source, id=name)
    if attachments:
        cell.attachments = attachments
    return cell


def _call(name: str, shown: Shown) -> NotebookNode:
    return _code(name.replace("_", "-"), f"reports.{name}(evidence)", shown)


def _code(name: str, source: str, shown: Shown) -> NotebookNode:
    data, metadata = _bundle(shown)
    folded = {"jupyter": {"source_hidden": True}}
    output = v4.new_output("display_data", data=data, metadata=metadata)
    cell: NotebookNode = v4.new_code_cell(source, id=name, metadata=folded, outputs=[output])
    return cell


def _bundle(shown: Shown) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(shown, Table | Facts | Figures | Excerpt):
        return {"text/html": shown._repr_html_(), "text/plain": repr(shown)}, {}
    return createos_renderer(shown.to_dict())
